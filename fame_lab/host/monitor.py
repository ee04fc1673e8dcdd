"""QEMU asked by its monitor, through libvirt, which waits for an answer without end."""

from __future__ import annotations

import concurrent.futures
import threading

import libvirt
import libvirt_qemu

from fame_lab.errors import HostError

__all__ = ["HUMAN", "MACHINE", "ask"]

#: What a command is worded in.
MACHINE = 0
HUMAN = libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP
#: Seconds that QEMU has: one that was stopped, or hangs, never answers.
PATIENCE = 30.0


def ask(handle: libvirt.virDomain, command: str, wording: int) -> str:
    """Give QEMU's answer.

    Raises
    ------
    HostError
        If none comes.
    libvirt.libvirtError
        If libvirt or QEMU refuses.
    """
    answer: concurrent.futures.Future[str] = concurrent.futures.Future()

    def work() -> None:
        try:
            answer.set_result(libvirt_qemu.qemuMonitorCommand(handle, command, wording))
        except libvirt.libvirtError as error:
            answer.set_exception(error)

    # Left to itself if it waits for ever; it ends with its QEMU.
    threading.Thread(target=work, name="ask-qemu", daemon=True).start()
    try:
        return answer.result(PATIENCE)
    except TimeoutError:
        raise HostError(
            f"the QEMU of {handle.name()} does not answer within {PATIENCE:.0f} s: it hangs, or was stopped; "
            "let it go on, or bring the node back with its restart()"
        ) from None
