"""Instrument a node's translated code for a recording, and stop that after it.

QEMU 7.2 aborts when a plugin's calls are removed from translated code. But QEMU keeps two sets of translated
code: one in which blocks may jump to each other directly, and one in which they may not (``CF_NO_GOTO_TB``,
which ``log nochain`` sets: ``curr_cflags`` in accel/tcg). While they may not, QEMU translates all code anew,
into the second set. When they may again, it goes on without the calls. QEMU 7.2 to 8.0 also keep a set for
each choice of a CPU's trace events (``trace_vcpu_dstate``). An event that never happens here parts the sets
as well, and leaves the direct jumps to both.

Code translated while the plugin looks on is slower even without a call. QEMU copies the address of each
access, and a loop over FAM took 1.13 to 1.23 x. So the plugin looks on during a recording alone. That leaves
a gap: ``log nochain`` does not part code that runs as one instruction alone (an atomic across two lines). It
has no calls if it was translated between two recordings. So where nothing else parts the sets, all translated
code is discarded at each start.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from fame_lab.core.sanitize import shortened
from fame_lab.core.wait import wait_until
from fame_lab.errors import BootError, HostError, TrafficError
from fame_lab.host.libvirt.domain import Domain
from fame_lab.traffic.trace.counter_layout import COUNTING_POSSIBLE, RESTING, WANTED_AGAIN, WANTED_ANEW
from fame_lab.traffic.trace.counters import Counters

if TYPE_CHECKING:
    from fame_lab.host.target import TargetNode
__all__ = ["instrument", "stop_instrumenting"]

log = logging.getLogger(__name__)

#: A CPU was unplugged, which happens to no node.
_EVENT = "guest_cpu_exit"
_LOG = {True: "log nochain", False: "log none"}
#: Seconds in which the plugin must reach a state.
_DEADLINE = 20.0


def instrument(node: TargetNode, counters: Counters) -> None:
    """Start to call the plugin at each access of a node's code.

    Raises
    ------
    TrafficError
        If its QEMU does not get ready in time.
    """
    again = counters.header()["state"] == RESTING and _has_events(node.domain)
    # First, so that each of its CPUs sees the request on its way into the pause.
    counters.set(wanted=WANTED_AGAIN if again else WANTED_ANEW)
    with node.domain.paused():
        # Otherwise it is ready once they go on, and code translated until then is discarded.
        if again and not _comes(counters, COUNTING_POSSIBLE):
            raise _not_ready(node)
        # Before the sets are parted, so that all code in the second set has the calls.
        counters.set(instrument=1)
        _keep_apart(node.domain, apart=True)
    if not _comes(counters, COUNTING_POSSIBLE):
        raise _not_ready(node)


def stop_instrumenting(node: TargetNode, counters: Counters) -> None:
    """Stop calling the plugin from a node's code."""
    if counters.is_replaced():
        return
    try:
        counters.set(wanted=0)
        with node.domain.paused():
            _keep_apart(node.domain, apart=False)
            counters.set(instrument=0)
            if not _comes(counters, RESTING):
                log.warning("%s: the trace plugin looks on, and what runs there is slower", node.name)
    except BootError:
        log.debug("%s ended during the recording", node.name)
    except HostError as error:
        log.warning("%s goes on with code that is ready to be counted, which is slower: %s", node.name, error)


def _has_events(domain: Domain) -> bool:
    # With the *, a missing event is an empty answer and not an error.
    events = domain.qmp("trace-event-get-state", name=f"{_EVENT}*")
    return any(event.get("vcpu") for event in events)


def _keep_apart(domain: Domain, *, apart: bool) -> None:
    if _has_events(domain):
        domain.qmp("trace-event-set-state", name=_EVENT, enable=apart)
    elif answer := domain.qmp("human-monitor-command", **{"command-line": _LOG[apart]}):
        raise HostError(f"QEMU answers {_LOG[apart]!r} with {shortened(answer, 400)}")


def _comes(counters: Counters, state: int) -> bool:
    """Wait until the plugin has this state, and return whether it does."""
    return wait_until(lambda: bool(counters.header()["state"] == state), _DEADLINE, interval=0.002)


def _not_ready(node: TargetNode) -> TrafficError:
    return TrafficError(
        f"{node.name}: its QEMU is not ready to count after {_DEADLINE:.0f} s",
        hint=node.domain.way_back,
    )
