"""The way to libvirt: the system daemon for root, the user's own session for everybody else."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from pathlib import Path
from xml.etree import ElementTree

import libvirt

from fame_lab.core.paths import program_path
from fame_lab.errors import DaemonError, HostError
from fame_lab.host import apparmor
from fame_lab.host.kvm_device import stalls_libvirt
from fame_lab.host.libvirt.daemons import client_address, ensure_daemons, lacking, mended_by, uri
from fame_lab.host.libvirt.monitor_connection import abandon
from fame_lab.host.qemu import PROGRAM, complaints
from fame_lab.host.qemu_user import QemuUser

__all__ = [
    "Libvirt",
    "check_emulator",
    "connect",
    "emulator",
    "kvm_refusal",
    "libvirt_error",
    "qemu_user",
    "security_models",
]

_ATTEMPTS = 3
#: The paths of libvirt's driver for QEMU in distributions.
_DRIVER_FILES = tuple(
    f"usr/{libraries}/libvirt/connection-driver/libvirt_driver_qemu.so" for libraries in ("lib/*", "lib64")
)


def connect() -> libvirt.virConnect:
    """Open libvirt, starting its daemon where no other program does.

    Raises
    ------
    HostError
        If it is missing, does not start or refuses, with its own message and a remedy.
    """
    # Without a handler of ours libvirt writes each error to stderr as well as raising it.
    libvirt.registerErrorHandler(lambda *_: None, None)
    if os.geteuid() == 0:
        _check_kvm_device()
    elif shutil.which("libvirtd", path=program_path()) is None:
        raise lacking("libvirtd is missing")
    for attempt in range(1, _ATTEMPTS + 1):
        ensure_daemons()
        try:
            return libvirt.open(client_address())
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_CONNECT:
                raise _without_driver(error) from error
            # A dying daemon may accept a connection, and then be gone.
            if error.get_error_code() != libvirt.VIR_ERR_SYSTEM_ERROR or attempt == _ATTEMPTS:
                raise HostError(
                    f"libvirt at {uri()} refuses: {error}", hint="`fame-lab doctor` tells more"
                ) from error
            time.sleep(0.1 * attempt)
    raise AssertionError("unreachable")


class Libvirt:
    """A lab's connection to libvirt, opened anew when the daemon has died and started again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection = connect()

    @property
    def connection(self) -> libvirt.virConnect:
        """A connection that answers; opened anew if the one before does not.

        Raises
        ------
        HostError
            See :func:`connect`.
        """
        with self._lock:
            if not _is_alive(self._connection):
                self._connection = connect()
            return self._connection

    def close(self) -> None:
        """Close the connection."""
        with self._lock, contextlib.suppress(libvirt.libvirtError):  # it has ended by itself
            abandon(self._connection)
            self._connection.close()


def _is_alive(connection: libvirt.virConnect) -> bool:
    # Its own isAlive() tells only the result of the last call.
    try:
        connection.getLibVersion()
    except libvirt.libvirtError:
        return False
    return True


def libvirt_error(connection: libvirt.virConnect, words: str) -> HostError:
    """Return the error for a refusal of libvirt's: a DaemonError if its daemon is gone."""
    return HostError(words) if _is_alive(connection) else DaemonError(words)


def qemu_user(connection: libvirt.virConnect) -> QemuUser | None:
    """Return the user that libvirt runs QEMU as; None if it is our own."""
    for model in _security_elements(connection):
        if model.findtext("model") != "dac":
            continue
        for label in model.findall("baselabel"):
            uid, _, gid = (label.text or "").replace("+", "").partition(":")
            if label.get("type") == "qemu" and uid.isdigit() and gid.isdigit():
                user = QemuUser(int(uid), int(gid))
                return None if user.uid == os.geteuid() else user
    return None


def kvm_refusal(connection: libvirt.virConnect, emulator: str | None = None) -> str:
    """Return why libvirt starts no node under KVM; nothing if it does.

    Its daemon opens /dev/kvm with the groups that it was started with. A session's daemon from before its
    user joined the group kvm has no KVM, though a QEMU that is started now has.

    Parameters
    ----------
    connection : libvirt.virConnect
    emulator : str, optional
        Path of the QEMU; by default libvirt's own choice.
    """
    try:
        connection.getDomainCapabilities(emulator, "x86_64", "q35", "kvm")
    except libvirt.libvirtError as error:
        again = "`systemctl restart libvirtd`" if os.geteuid() == 0 else "log in anew, or end your libvirtd"
        return f"libvirt at {uri()} has no KVM ({error}); if you may open /dev/kvm since, {again}"
    return ""


def emulator(connection: libvirt.virConnect) -> Path:
    """Return the QEMU that libvirt takes for a domain which names none.

    Raises
    ------
    HostError
        If libvirt finds none.
    """
    for arch in _capabilities(connection).findall("guest/arch[@name='x86_64']"):
        if path := arch.findtext("emulator"):
            return Path(path)
    raise HostError(f"libvirt at {uri()} finds no {PROGRAM}", hint="`sudo apt-get install qemu-system-x86`")


def check_emulator(connection: libvirt.virConnect, path: Path) -> None:
    """Raise HostError if libvirt cannot start a QEMU that is not the host's own.

    At the first use of a QEMU libvirt queries its capabilities, which takes a second or two.
    """
    try:
        connection.getDomainCapabilities(str(path), "x86_64", "q35", "qemu")
    except libvirt.libvirtError as error:
        words = f"libvirt at {uri()} cannot start {path}: {error}"
        if messages := complaints(path, qemu_user(connection)):
            words += f"; asked what it has, QEMU itself says {messages}"
        elif apparmor.is_on():
            words += f"; {apparmor.way_for(path)}"  # libvirt does not tell what kept it from it
        raise libvirt_error(connection, words) from error


def security_models(connection: libvirt.virConnect) -> set[str]:
    """Return the names of this libvirt's security drivers, such as ``dac`` and ``apparmor``."""
    return {model.findtext("model") or "" for model in _security_elements(connection)}


def _security_elements(connection: libvirt.virConnect) -> list[ElementTree.Element]:
    return _capabilities(connection).findall("host/secmodel")


def _capabilities(connection: libvirt.virConnect) -> ElementTree.Element:
    # It comes from the host's libvirt, which is trusted like the host itself.
    try:
        xml = connection.getCapabilities()
    except libvirt.libvirtError as error:
        raise libvirt_error(connection, f"libvirt does not tell what it can do: {error}") from error
    return ElementTree.fromstring(xml)  # noqa: S314


def _check_kvm_device() -> None:
    if stalls_libvirt():
        raise HostError(
            "libvirt's QEMU cannot open /dev/kvm, which makes libvirt take minutes for each node",
            hint="give it the ownership that udev would: `chown root:kvm /dev/kvm; chmod 660 /dev/kvm` "
            "(`make setup` does)",
        )


def _without_driver(error: libvirt.libvirtError) -> HostError:
    """Return the error for a libvirtd without its driver for QEMU, with the command that repairs it."""
    fault = f"libvirt at {uri()} has no driver for QEMU ({error})"
    if not any(path for pattern in _DRIVER_FILES for path in Path("/").glob(pattern)):
        return lacking(fault)
    command = "pkill -x -u $(id -u) libvirtd"
    if os.geteuid() == 0 and Path("/run/systemd/system").is_dir():
        command = "systemctl restart libvirtd"
    return mended_by(command, f"{fault}, which was installed after this libvirtd had started")
