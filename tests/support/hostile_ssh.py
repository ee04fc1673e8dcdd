"""An SSH server that means no good, on this host's loopback, as a guest's could be."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paramiko
from paramiko.common import AUTH_SUCCESSFUL, OPEN_FAILED_CONNECT_FAILED, OPEN_SUCCEEDED

from fame_lab.core.lab_directory import LabDirectory
from fame_lab.guest.ssh.connection import Connection
from fame_lab.guest.ssh.keys import LabKeys

#: Done on the channel of each command, in a thread of its own.
Deed = Callable[[paramiko.Channel], None]


@contextlib.contextmanager
def hostile_node(
    directory: Path,
    deed: Deed,
    *,
    answers: bool = True,
    sessions: int = 1000,
    version: str = "",
    trouble: Callable[[], str] = lambda: "",
) -> Iterator[Connection]:
    """Start a server that lets the lab in and does `deed`; yield a connection to it.

    It takes so many sessions at a time on each connection, and shows `version` as its own.
    """
    own = LabDirectory(directory / "lab")
    own.make(None)
    keys = LabKeys.make(own, ["node01"])
    host = paramiko.Ed25519Key.from_private_key_file(str(own.host_key("node01")))

    def serve(client: socket.socket) -> None:
        transport = paramiko.Transport(client)
        transport.add_server_key(host)
        if version:
            transport.local_version = f"SSH-2.0-{version}"
        transport.start_server(server=_Server(deed, answers, sessions))

    with peer(serve) as port:
        connection = Connection("node01", lambda: port, keys, trouble)
        try:
            yield connection
        finally:
            connection.close()


@contextlib.contextmanager
def peer(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Listen on a port of loopback; serve each client in a thread, and close it at the end."""
    clients: list[socket.socket] = []

    def listen() -> None:
        with contextlib.suppress(OSError):
            while True:
                clients.append(listening.accept()[0])
                threading.Thread(target=_quietly, args=(serve, clients[-1]), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
            for each in clients:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()


def any_keys(directory: Path) -> LabKeys:
    """Create keys that fit no server and no client."""
    own = LabDirectory(directory / "lab")
    own.make(None)
    return LabKeys.make(own, ["node01"])


def _quietly(serve: Callable[[socket.socket], None], client: socket.socket) -> None:
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        serve(client)


class _Server(paramiko.ServerInterface):
    def __init__(self, deed: Deed, answers: bool, sessions: int) -> None:
        self._deed = deed
        self._answers = answers
        self._free = threading.Semaphore(sessions)

    def check_auth_publickey(self, *_: object) -> int:
        return AUTH_SUCCESSFUL

    def check_channel_request(self, *_: object) -> int:
        return OPEN_SUCCEEDED if self._free.acquire(blocking=False) else OPEN_FAILED_CONNECT_FAILED

    def check_channel_exec_request(self, channel: paramiko.Channel, *_: object) -> bool:
        if not self._answers:
            threading.Event().wait()
        threading.Thread(target=self._do, args=(channel,), daemon=True).start()
        return True

    def _do(self, channel: paramiko.Channel) -> None:
        time.sleep(0.1)  # so that the answer to the request goes first
        try:
            with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
                self._deed(channel)
        finally:
            self._free.release()


def message(channel: paramiko.Channel, kind: bytes, *parts: int | bytes) -> None:
    """Send a message on a channel without regard to its window."""
    packet = paramiko.Message()
    packet.add_byte(kind)
    packet.add_int(channel.remote_chanid)
    for part in parts:
        if isinstance(part, int):
            packet.add_int(part)
        else:
            packet.add_string(part)
    _transport(channel)._send_user_message(packet)


def deaf(channel: paramiko.Channel, kind: int, do: Callable[..., object] = lambda *_: None) -> None:
    """Do nothing, or something else, about messages of a kind."""
    transport = _transport(channel)
    transport._channel_handler_table = transport._channel_handler_table | {kind: do}


def _transport(channel: paramiko.Channel) -> Any:
    return channel.get_transport()
