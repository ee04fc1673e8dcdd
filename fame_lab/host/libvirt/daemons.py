"""libvirt's daemons: where they answer, and their start where no other program starts them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import platformdirs

from fame_lab.core.paths import program_path
from fame_lab.core.wait import wait_until
from fame_lab.errors import HostError
from fame_lab.host.libvirt.session_directory import make, session_cache, session_runtime, short_configuration

__all__ = ["client_address", "ensure_daemons", "lacking", "mended_by", "uri"]

#: Seconds of idleness after which daemons that the kit starts end by themselves. A running domain keeps
#: libvirtd. Nothing keeps virtlogd (libvirt 9.0), and with it ends the nodes' console: it has a day.
IDLE_SECONDS = {"libvirtd": 30, "virtlogd": 86_400}
START_DEADLINE = 20.0
#: Debian's package of libvirt's driver for QEMU.
_DRIVER = "libvirt-daemon-driver-qemu"
_SOCKETS = {"virtlogd": "virtlogd", "libvirtd": "libvirt"}
#: The variables of our environment by which a session's daemon finds its files.
_PLACES = ("HOME", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")


def uri() -> str:
    """Return libvirt's address: a client of root's always gets the system daemon."""
    return "qemu:///system" if os.geteuid() == 0 else "qemu:///session"


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
        program = shutil.which(daemon, path=program_path())
        if program is None:
            raise lacking(f"{daemon} is missing")
        _start(program, address)


def client_address() -> str:
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
        env={"PATH": program_path()} | places,
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


def lacking(what: str) -> HostError:
    """Return the error for a part of libvirt that this host lacks, with the command that installs it."""
    # Before Debian 13 the daemon depended on its driver for QEMU; since then it only recommends it.
    packages = "libvirt-daemon-system" if os.geteuid() == 0 else "libvirt-daemon"
    command = f"sudo apt-get install --no-install-recommends {packages} {_DRIVER}"
    return mended_by(command, what, ", or `make setup`")


def mended_by(command: str, what: str, otherwise: str = "") -> HostError:
    """Return an error with the command that mends it, which the doctor can show by itself."""
    error = HostError(what, hint=f"`{command}`{otherwise}")
    error.mend = command
    return error
