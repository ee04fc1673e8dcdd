"""Bring a node up: its domain, its kernel, its SSH server, and the proof that it shares the FAM."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import psutil

from fame_lab.core.jobs.cancellation import is_cancelled, raise_if_cancelled
from fame_lab.core.jobs.progress import job
from fame_lab.core.sanitize import shortened
from fame_lab.core.sizes import format_size
from fame_lab.errors import BootError, DaemonError, SSHError
from fame_lab.guest.images.base import FAM_LINK, READY
from fame_lab.host.fam_trouble import trouble
from fame_lab.lab.network_proof import prove_up
from fame_lab.lab.node import Node
from fame_lab.lab.sharing_proof import PROOF_SECONDS, prove_sharing
from fame_lab.lab.start_mode import StartMode, Tell

if TYPE_CHECKING:
    from fame_lab.host.libvirt.domain import Domain
    from fame_lab.lab.context import LabContext

__all__ = ["ATTEMPTS", "await_ready", "bring_up"]

log = logging.getLogger(__name__)

#: How often a guest that does not come up is tried.
ATTEMPTS = 2
_POLL_INTERVAL = 0.02
#: Characters of a console, and of QEMU's words, that an error quotes.
_MAX_QUOTED = 1000
_LOOK_AT_DOMAIN = 0.5
#: Share of its time that a node has the processor for, on a host that is not too busy.
_LITTLE = 0.25


def bring_up(
    context: LabContext,
    index: int,
    start: StartMode,
    *,
    deadline: float | None = None,
    slots: threading.Semaphore | None = None,
    tell: Tell = lambda _node, _stage: None,
) -> Node:
    """Start one node and prove it ready.

    A boot that fails is tried once more, cold. The cause may be a kernel that hangs under emulation, as
    happens now and then, or a libvirt daemon that went away.

    Parameters
    ----------
    context : LabContext
    index : int
        The node's number, from 0.
    start : StartMode
        Cold, or the template that it is restored from.
    deadline : float, optional
        Seconds from power-on to the first SSH answer; by default the image says.
    slots : threading.Semaphore, optional
        Limits how many kernels boot at a time.
    tell : callable
        Called with the node's name and its stage.

    Raises
    ------
    BootError
        If it came up in neither attempt, with its console's last lines and QEMU's own message.
    SharingError
        If it came up and does not see the FAM.
    """
    slots = slots or threading.Semaphore()
    deadline = context.image.deadline if deadline is None else deadline
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _attempt(context, index, start, deadline, slots, tell)
        except (BootError, DaemonError) as error:
            if attempt == ATTEMPTS or is_cancelled():
                raise
            log.warning("%s; trying once more", error)
            if start.template is not None:
                start = StartMode(None, "restored from the template it did not come up")
    raise AssertionError("unreachable")


def _attempt(
    context: LabContext,
    index: int,
    start: StartMode,
    deadline: float,
    slots: threading.Semaphore,
    tell: Tell,
) -> Node:
    tell(context.spec.node_names[index], "creating")
    # Before its turn to boot, so that libvirt's share of the work overlaps another node's boot.
    domain = context.create_domain(index, start)
    node = Node(context, domain)
    try:
        with _slot(slots):
            tell(node.name, "booting" if start.template is None else "waking")
            end = time.monotonic() + deadline
            node.domain.resume()
            if context.image.says_ready:
                await_ready(context, domain, end, deadline)
            else:
                # Only an SSH answer shows that this image has booted.
                _connect(context, node, end, deadline)
        tell(node.name, "connecting")
        _connect(context, node, end, deadline)
        if not context.image.says_ready:
            node.run("test -e /dev/fam || sh -s", stdin=FAM_LINK.read_bytes(), timeout=PROOF_SECONDS)
        tell(node.name, "proving")
        # A node may boot anew within another job. These are not steps of that job.
        with job(f"{node.name} boots", shown=False):
            prove_sharing(context.fam, node)
            prove_up(node, from_host=context.network.has_host)
        tell(node.name, "ready")
    except BaseException:
        node.connection.close()
        node.domain.destroy()
        raise
    return node


def _connect(context: LabContext, node: Node, end: float, deadline: float) -> None:
    try:
        node.connection.open(end - time.monotonic(), settled=context.image.says_ready)
    except SSHError as error:
        raise_if_cancelled()
        raise _boot_error(
            context, node.domain, f"answered no SSH within {deadline:.0f} s ({error})"
        ) from error


@contextlib.contextmanager
def _slot(slots: threading.Semaphore) -> Iterator[None]:
    while not slots.acquire(timeout=0.1):
        raise_if_cancelled()
    try:
        raise_if_cancelled()
        yield
    finally:
        slots.release()


def await_ready(context: LabContext, domain: Domain, end: float, deadline: float) -> None:
    """Wait for a guest's line on its serial console.

    Parameters
    ----------
    context : LabContext
    domain : Domain
    end : float
        Latest time of the line, by the monotonic clock, in seconds.
    deadline : float
        Seconds that the boot may take, for messages.

    Raises
    ------
    BootError
        If its QEMU ends or the line is late. It quotes the console's last lines and QEMU's message.
    """
    line = READY.format(node=domain.record.node)
    look_at_domain = time.monotonic() + _LOOK_AT_DOMAIN
    while line not in context.console(domain.record.node):
        raise_if_cancelled()
        now = time.monotonic()
        if now > look_at_domain:
            if context.host.reconnected(domain).state() not in ("running", "paused"):
                raise _boot_error(context, domain, "ended while it booted")
            look_at_domain = now + _LOOK_AT_DOMAIN
        if now > end:
            raise _boot_error(context, domain, f"was not up within {deadline:.0f} s")
        time.sleep(_POLL_INTERVAL)


def _boot_error(context: LabContext, domain: Domain, what: str) -> BootError:
    lines = "\n".join(context.console(domain.record.node).strip().splitlines()[-5:])
    log_tail, harm = domain.qemu_log_tail(), trouble(context.fam)
    parts = (
        f"{domain.record.node} {what}",
        f"its console's last lines are {shortened(lines, _MAX_QUOTED)}" if lines else "its console is empty",
        _software(context, domain, silent=not lines),
        f"QEMU says {shortened(log_tail, _MAX_QUOTED)}" if log_tail else "",
        harm,
    )
    return BootError("; ".join(filter(None, parts)))


def _processor_seconds(domain: Domain) -> float | None:
    """Return the processor time that a node's QEMU has used; None once it is gone."""
    with contextlib.suppress(psutil.Error):
        return None if (pid := domain.pid()) is None else sum(psutil.Process(pid).cpu_times()[:2])
    return None


def _software(context: LabContext, domain: Domain, *, silent: bool) -> str:
    """Name the kernel and the QEMU of a boot that failed. If it was silent, add what to change."""
    qemu, spec = domain.record.qemu or context.qemu, context.spec
    kernel = f"Linux {context.image.kernel_release}, image {str(spec.image)!r}"
    software = f"it was {kernel}, in {qemu} under {context.accelerator.kind.upper()}"
    if not silent:
        return software
    seconds, load = _processor_seconds(domain), os.getloadavg()[0]
    is_starved = seconds is not None and seconds < _LITTLE * context.image.deadline
    if is_starved and load > 2 * len(os.sched_getaffinity(0)):
        return (
            f"{software}. It had {seconds:.1f} s of processor time, for this host is busy (load {load:.0f}): "
            "end what keeps it so, or give it more seconds from Python, by lab.start(deadline=...)"
        )
    other = "qemu='backports', the newer one" if spec.qemu == "auto" else "qemu='auto', the host's own"
    return (
        f"{software}. A kernel that prints nothing may not boot in this QEMU at all: give another QEMU "
        f"({other}), an image with another kernel, or more memory than {format_size(spec.memory_size)}"
    )
