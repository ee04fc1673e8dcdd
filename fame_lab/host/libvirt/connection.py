"""The way to libvirt: the system daemon for root, the user's own session for everybody else."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path
from xml.etree import ElementTree

import libvirt
import platformdirs

from fame_lab.core.wait import wait_until
from fame_lab.errors import DaemonError, HostError
from fame_lab.host.kvm_device import stalls_libvirt
from fame_lab.host.libvirt.monitor_connection import abandon
from fame_lab.host.libvirt.session_directory import make, session_cache, session_runtime, short_configuration
from fame_lab.host.qemu import PROGRAM
from fame_lab.host.qemu_user import QemuUser

__all__ = [
    "Libvirt",
    "connect",
    "emulator",
    "ensure_daemons",
    "kvm_refusal",
    "libvirt_error",
    "qemu_user",
    "security_models",
    "uri",
]

#: Seconds of idleness after which daemons that the kit starts end by themselves. A running domain keeps
#: libvirtd. Nothing keeps virtlogd (libvirt 9.0), and with it ends the nodes' console: it has a day.
IDLE_SECONDS = {"libvirtd": 30, "virtlogd": 86_400}
START_DEADLINE = 20.0
_ATTEMPTS = 3
#: Debian's package of libvirt's driver for QEMU, and the driver's paths in distributions.
_DRIVER = "libvirt-daemon-driver-qemu"
_DRIVER_FILES = tuple(
    f"usr/{libraries}/libvirt/connection-driver/libvirt_driver_qemu.so" for libraries in ("lib/*", "lib64")
)
_SOCKETS = {"virtlogd": "virtlogd", "libvirtd": "libvirt"}
#: The variables of our environment by which a session's daemon finds its files.
_PLACES = ("HOME", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")


def uri() -> str:
    """Return libvirt's address: a client of root's always gets the system daemon."""
    return "qemu:///system" if os.geteuid() == 0 else "qemu:///session"


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
    elif shutil.which("libvirtd", path=_search_path()) is None:
        raise _lacking("libvirtd is missing")
    for attempt in range(1, _ATTEMPTS + 1):
        ensure_daemons()
        try:
            return libvirt.open(_address())
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


def ensure_daemons() -> None:
    """Start the daemons that do not answer, where no other program does.

    It is called before each domain: an idle log daemon ends even while libvirtd stays, which then starts no
    domain any more. A connection keeps the log daemon for another while. A session's libvirtd starts by
    itself, and so does its log daemon, but that one ends after two minutes.

    Raises
    ------
    HostError
        If one is missing or does not start.
    """
    is_system = os.geteuid() == 0
    for daemon, address in _addresses().items():
        if _answers(address):
            continue
        if is_system and Path("/run/systemd/system").is_dir():
            raise HostError(
                f"{daemon} does not answer at {address}", hint=f"`systemctl start {daemon}.socket`"
            )
        program = shutil.which(daemon, path=_search_path())
        if program is None:
            raise _lacking(f"{daemon} is missing")
        _start(program, address)


def _address() -> str:
    """Return the address by which libvirt's client finds the daemon of :func:`uri`."""
    if (runtime := session_runtime()) is None:
        return uri()
    # By itself the client uses the path of the socket from when libvirt was loaded.
    return f"qemu+unix:///session?socket={runtime}/libvirt/{_SOCKETS['libvirtd']}-sock"


def _addresses() -> dict[str, str]:
    if os.geteuid() == 0:
        return {daemon: f"/run/libvirt/{name}-sock" for daemon, name in _SOCKETS.items()}
    directory = session_runtime() or os.environ.get("XDG_RUNTIME_DIR") or platformdirs.user_cache_dir()
    # A session's libvirtd starts by itself, in its usual place.
    daemons = ["virtlogd"] if short_configuration() is None else ["virtlogd", "libvirtd"]
    return {daemon: f"{directory}/libvirt/{_SOCKETS[daemon]}-sock" for daemon in daemons}


def _start(program: str, address: str) -> None:
    # A daemon that outlives us gets nothing else of our environment, directory or open files.
    places = {name: os.environ[name] for name in _PLACES if name in os.environ}
    if (short := short_configuration()) is not None:
        make(short)
        places |= {"XDG_CONFIG_HOME": str(short), "XDG_CACHE_HOME": str(session_cache())}
        places |= {"XDG_RUNTIME_DIR": str(runtime)} if (runtime := session_runtime()) else {}
    completed = subprocess.run(
        [program, "--daemon", "--timeout", str(IDLE_SECONDS[Path(program).name])],
        env={"PATH": _search_path()} | places,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=START_DEADLINE,
        check=False,
        start_new_session=True,
    )
    # Another process may have started it at the same moment: only its answer counts.
    if not wait_until(lambda: _answers(address), START_DEADLINE):
        words = completed.stderr.decode(errors="replace").strip()
        raise HostError(f"{program} does not answer at {address} after {START_DEADLINE:.0f} s: {words}")


def _answers(address: str) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        try:
            client.connect(address)
        except OSError:
            return False
    return True


def _without_driver(error: libvirt.libvirtError) -> HostError:
    """Return the error for a libvirtd without its driver for QEMU, with the command that repairs it."""
    fault = f"libvirt at {uri()} has no driver for QEMU ({error})"
    if not any(path for pattern in _DRIVER_FILES for path in Path("/").glob(pattern)):
        return _lacking(fault)
    command = "pkill -x -u $(id -u) libvirtd"
    if os.geteuid() == 0 and Path("/run/systemd/system").is_dir():
        command = "systemctl restart libvirtd"
    return _mended_by(command, f"{fault}, which was installed after this libvirtd had started", "")


def _lacking(what: str) -> HostError:
    """Return the error for a part of libvirt that this host lacks, with the command that installs it."""
    # Before Debian 13 the daemon depended on its driver for QEMU; since then it only recommends it.
    packages = "libvirt-daemon-system" if os.geteuid() == 0 else "libvirt-daemon"
    command = f"sudo apt-get install --no-install-recommends {packages} {_DRIVER}"
    return _mended_by(command, what, ", or `make setup`")


def _mended_by(command: str, what: str, otherwise: str) -> HostError:
    error = HostError(f"{what}", hint=f"`{command}`{otherwise}")
    error.mend = command
    return error


def _search_path() -> str:
    return os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin:/usr/bin:/sbin:/bin"
