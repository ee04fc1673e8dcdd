"""Code that calls the trace plugin at each access: in use during a recording, and out of the way after it.

Calls that a plugin has put into translated code cannot be taken out again: QEMU 7.2 aborts. But QEMU looks
for translated code by, among others, whether its blocks may jump to each other directly (``CF_NO_GOTO_TB``,
which ``log nochain`` sets: ``curr_cflags`` in accel/tcg). While they may not, QEMU translates all that it
runs anew, into a set of its own. When they may again, it goes on with the set that it had before. QEMU 7.2 to
8.0 also look by which trace events of a CPU are enabled (``trace_vcpu_dstate``). One that never happens here
parts the sets as well, and leaves the direct jumps to both.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from fame_lab.errors import BootError, HostError, TrafficError
from fame_lab.host.domain import Domain
from fame_lab.quoting import shortened
from fame_lab.traffic.counter_layout import COUNTING_POSSIBLE
from fame_lab.traffic.counters import Counters

if TYPE_CHECKING:
    from fame_lab.node import Node

__all__ = ["instrument", "run_as_before"]

log = logging.getLogger(__name__)

#: That a CPU was unplugged, which happens to no node.
_EVENT = "guest_cpu_exit"
_LOG = {True: "log nochain", False: "log none"}
#: Seconds in which a node's QEMU must have thrown its translated code away.
_READY_DEADLINE = 20.0


def instrument(node: Node, counters: Counters) -> None:
    """Have each access of a node's code call the plugin from now on.

    Raises
    ------
    TrafficError
        If its QEMU does not get ready to.
    """
    with node.domain.paused():
        # First, so that nothing in the set that is apart is ever without calls.
        counters.set(instrument=1)
        _keep_apart(node.domain, apart=True)
    if counters.header()["state"] != COUNTING_POSSIBLE:
        _have_it_translated_anew(node, counters)


def run_as_before(node: Node, counters: Counters) -> None:
    """Have a node go on with code that calls nothing, where its QEMU can tell the two apart."""
    if counters.is_replaced():
        return
    try:
        with node.domain.paused():
            _keep_apart(node.domain, apart=False)
            counters.set(instrument=0)
    except BootError:
        log.debug("%s ended during the recording", node.name)
    except HostError as error:
        log.warning("%s goes on with code that is ready to be counted, which is slower: %s", node.name, error)


def _keep_apart(domain: Domain, *, apart: bool) -> None:
    # The * makes an empty answer, not an error, of an event that is not there.
    events = domain.ask("trace-event-get-state", name=f"{_EVENT}*")
    if any(event.get("vcpu") for event in events):
        domain.ask("trace-event-set-state", name=_EVENT, enable=apart)
        return
    if said := domain.ask("human-monitor-command", **{"command-line": _LOG[apart]}):
        raise HostError(f"QEMU answers {_LOG[apart]!r} with {shortened(said, 400)}")


def _have_it_translated_anew(node: Node, counters: Counters) -> None:
    counters.set(wanted=1)
    # Pausing takes a busy CPU past the plugin's hook, a command an idle one.
    with node.domain.paused():
        pass
    node.run(":")
    end = time.monotonic() + _READY_DEADLINE
    while counters.header()["state"] != COUNTING_POSSIBLE:
        if time.monotonic() > end:
            raise TrafficError(
                f"{node.name}: its QEMU is not ready to count after {_READY_DEADLINE:.0f} s; "
                f"restart it: lab.nodes[{node.index}].restart()"
            )
        time.sleep(0.01)
