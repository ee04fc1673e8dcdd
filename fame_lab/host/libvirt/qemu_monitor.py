"""QEMU asked by its monitors; what it answers is checked, for a guest may have broken out into it."""

from __future__ import annotations

import concurrent.futures
import json
import re
import threading
from typing import Any

import libvirt
import libvirt_qemu

from fame_lab.core.sanitize import shortened
from fame_lab.errors import HostError
from fame_lab.host.libvirt.monitor_connection import abandon, handle_for_monitor

__all__ = ["HUMAN", "MACHINE", "ask", "bar2", "fam_block", "forwarded_port", "qmp_result"]

#: The language of a command.
MACHINE = 0
HUMAN = libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP
#: Seconds that QEMU has: a stopped or hanging one never answers, and libvirt waits without end.
PATIENCE = 30.0

_FORWARD = re.compile(r"TCP\[HOST_FORWARD\]\s+\S+\s+127\.0\.0\.1\s+([0-9]{1,5})\s+\S+\s+22\s")
_FAM_BLOCK = re.compile(r"/FAM\s+\S+ KiB\s+(0x[0-9a-f]{1,16})\s")
_IVSHMEM = {"vendor": 0x1AF4, "device": 0x1110}


def ask(handle: libvirt.virDomain, command: str, wording: int, *files: int) -> str:
    """Return QEMU's answer to a command; `files` are descriptors that are passed with it.

    Raises
    ------
    HostError
        If no answer comes.
    libvirt.libvirtError
        If libvirt or QEMU refuses.
    """
    answer: concurrent.futures.Future[str] = concurrent.futures.Future()

    def work() -> None:
        try:
            monitor = handle_for_monitor(handle)
            if files:
                output, _ = libvirt_qemu.qemuMonitorCommandWithFiles(monitor, command, list(files), wording)
            else:
                output = libvirt_qemu.qemuMonitorCommand(monitor, command, wording)
            answer.set_result(output)
        except libvirt.libvirtError as error:
            answer.set_exception(error)

    # A thread that waits for ever is abandoned; it ends with its QEMU.
    threading.Thread(target=work, name="ask-qemu", daemon=True).start()
    try:
        return answer.result(PATIENCE)
    except TimeoutError:
        abandon(handle.connect())
        raise HostError(
            f"the QEMU of {handle.name()} does not answer within {PATIENCE:.0f} s: it hangs, or was stopped",
            hint="let it go on, or restart the node: `fame-lab restart`, or its restart()",
        ) from None


def qmp_result(text: str) -> Any:
    """Return the result of a command of QEMU's machine protocol, QMP.

    Raises
    ------
    HostError
        If QEMU refused the command, or its answer has another form.
    """
    try:
        answer = json.loads(text)
        if "return" in answer:
            return answer["return"]
        why = str(answer["error"]["desc"])
    except (ValueError, KeyError, TypeError, RecursionError):
        why = text
    raise HostError(f"QEMU answers {shortened(why, 400)}")


def forwarded_port(text: str) -> int:
    """Find in ``info usernet`` the port of 127.0.0.1 that leads to port 22 of the guest.

    Raises
    ------
    HostError
        If there is none.
    """
    match = _FORWARD.search(text)
    if match is None or not 0 < int(match[1]) < 1 << 16:
        raise HostError(f"QEMU forwards no port to the SSH server: it says {shortened(text, 400)}")
    return int(match[1])


def fam_block(text: str) -> int | None:
    """Find in ``info ramblock`` the place of FAM's block in QEMU's own memory."""
    match = _FAM_BLOCK.search(text)
    return int(match[1], 16) if match else None


def bar2(buses: Any) -> int | None:
    """Find in ``query-pci`` the address of FAM's BAR2; None while it is not mapped.

    Raises
    ------
    HostError
        If it is no list of PCI devices.
    """
    try:
        for device in (device for bus in buses for device in bus["devices"]):
            ids = device["id"]
            if ids.get("vendor") == _IVSHMEM["vendor"] and ids["device"] == _IVSHMEM["device"]:
                for region in device["regions"]:
                    if region["bar"] == 2 and 0 < region["address"] < 1 << 63:
                        return int(region["address"])
    except (KeyError, TypeError, AttributeError) as error:
        raise HostError(f"QEMU lists no PCI devices: {shortened(repr(buses), 400)}") from error
    return None
