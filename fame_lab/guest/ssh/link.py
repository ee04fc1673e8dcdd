"""One SSH connection to a node: its key pinned, and nothing kept that is larger than it may be."""

from __future__ import annotations

import base64
import io
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import paramiko
from paramiko.common import MSG_CHANNEL_DATA, MSG_CHANNEL_EXTENDED_DATA, MSG_CHANNEL_REQUEST
from paramiko.packet import Packetizer

from fame_lab.core.compat import channel_handlers
from fame_lab.core.jobs.watchdog import abort_after
from fame_lab.core.sanitize import shortened
from fame_lab.errors import SSHError
from fame_lab.guest.ssh.keys import LabKeys

__all__ = ["Channel", "Link", "RefusedError", "begin", "refusal", "send"]

#: A session on which one command runs.
Channel = paramiko.Channel

HOST = "127.0.0.1"
USER = "root"
#: The least seconds in which a guest must open a session; how late paramiko may be.
_LEAST, _GRACE = 0.1, 2.0
#: What paramiko says of a key that was refused; a server that is silent or gone raises the same error.
_REFUSED = "Authentication failed."
#: Bytes of a packet and of all lines before the first one; OpenSSH takes no larger packet either.
_MAX_PACKET = 256 << 10
_MAX_BANNER = 64 << 10
#: Bytes that wait to be read of one stream: twice the window that we open, which a guest may not keep to.
_MAX_WAITING = 4 << 20
# paramiko logs each refused banner as an error, with a traceback, while a node is still coming up.
logging.getLogger("paramiko.transport").setLevel(logging.CRITICAL)


class RefusedError(Exception):
    """A server opens no further session on this connection."""


class Link:
    """A connection on which a node's SSH server has let the lab in.

    Parameters
    ----------
    client : paramiko.SSHClient
        It is connected.
    """

    def __init__(self, client: paramiko.SSHClient) -> None:
        self._client = client
        version = getattr(client.get_transport(), "remote_version", "")
        #: Whether the server is to be given one session at a time. When a command ends, dropbear closes all
        #: sessions of that connection whose commands have not begun, and runs these commands all the same
        #: (svr-chansession.c: sesscheckclose, sessioncommand).
        self.is_single = "dropbear" in version.lower()

    @classmethod
    def to(cls, node: str, port: int, keys: LabKeys, *, left: float, patience: float) -> Link:
        """Connect to a node once, within `left` seconds.

        Parameters
        ----------
        node : str
        port : int
            The port of 127.0.0.1 that leads to the node.
        keys : LabKeys
        left, patience : float
            Seconds to connect, and until a peer that reads nothing is given up later on.

        Raises
        ------
        Exception
            Of paramiko's or the socket's; :func:`refusal` tells whether it is final.
        """
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        host = paramiko.Ed25519Key(data=base64.b64decode(keys.hosts[node]))
        client.get_host_keys().add(f"[{HOST}]:{port}", host.get_name(), host)

        def transport(sock: Any, **options: Any) -> _Transport:
            # Or to write to one that reads nothing would keep us, and who else has this connection, for ever.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(patience * 1000))
            return _Transport(sock, **options)

        try:
            with abort_after(left, client.close):
                client.connect(
                    HOST,
                    port,
                    USER,
                    pkey=paramiko.Ed25519Key.from_private_key(io.StringIO(keys.client)),
                    transport_factory=transport,
                    allow_agent=False,
                    look_for_keys=False,
                    timeout=left,
                    banner_timeout=left,
                    auth_timeout=left,
                )
        except BaseException:
            client.close()
            raise
        return cls(client)

    @property
    def is_alive(self) -> bool:
        """Whether neither side has ended it."""
        transport = self._client.get_transport()
        return transport is not None and transport.is_active()

    def session(self, patience: float) -> Channel:
        """Open a session within `patience` seconds.

        Raises
        ------
        RefusedError
            If the server says that it opens none.
        Exception
            Of paramiko's, if the server is silent or the connection has ended.
        """
        transport = self._client.get_transport()
        if transport is None:
            raise EOFError("the connection is closed")
        patience = max(patience, _LEAST)
        try:
            with abort_after(patience + _GRACE, self._client.close):
                return transport.open_session(timeout=patience)
        except paramiko.ChannelException as error:
            raise RefusedError(str(error)) from error

    def close(self) -> None:
        """End the connection and its thread."""
        self._client.close()


def begin(node: str, channel: Channel, command: bytes, patience: float) -> None:
    """Start a command on a session of its own.

    Raises
    ------
    SSHError
        If the server says nothing within `patience` seconds.
    """
    with abort_after(patience, channel.close) as given_up:
        try:
            channel.exec_command(command)
        except paramiko.SSHException as error:
            if not given_up():
                raise
            raise SSHError(f"{node} begins nothing within {patience:g} s: it may hang") from error


def send(
    channel: Channel, pieces: Iterable[bytes], failed: Callable[[BaseException], None]
) -> threading.Thread:
    """Start to send a command its standard input, piece by piece, and the end of it.

    Parameters
    ----------
    channel : Channel
    pieces : iterable of bytes
        If it raises, the session is closed: a command is not to take half of its input for the whole.
    failed : callable
        Told what `pieces` raised.

    Returns
    -------
    threading.Thread
    """

    def work() -> None:
        # A command that stops reading closes the channel, and its status tells why.
        ended = (OSError, EOFError, paramiko.SSHException)
        remaining = iter(pieces)
        while True:
            try:
                piece = next(remaining, None)
            except BaseException as error:  # noqa: BLE001 - it is raised by who waits for the command
                failed(error)
                channel.close()
                return
            try:
                if piece is None:
                    channel.shutdown_write()
                    return
                channel.sendall(piece)
            except ended:
                return

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def refusal(error: Exception) -> str:
    """Return how a server refused us, or showed itself to be another; nothing if it did neither."""
    if isinstance(error, paramiko.BadHostKeyException):
        return "shows another host key than this lab's: something else answers there"
    if str(error) == _REFUSED or isinstance(error, paramiko.BadAuthenticationType):
        return f"does not let this lab's key in: {shortened(str(error))}"
    return ""


class _Packets(Packetizer):
    """Packets of a size that may be: paramiko would keep 4 GiB of one, and any length of a line."""

    _banner = 0

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        if n > _MAX_PACKET:
            raise paramiko.SSHException(f"a packet of {n} bytes is announced")
        return super().read_all(n, check_rekey)

    def _read_timeout(self, timeout: float) -> bytes:
        found: bytes = super()._read_timeout(timeout)  # type: ignore[misc]
        self._banner += len(found)
        if self._banner > _MAX_BANNER:
            raise paramiko.SSHException(f"{self._banner} bytes came before the first packet")
        return found


def _within(feed: Callable[[paramiko.Channel, paramiko.Message], None]) -> Any:
    """Return what keeps a channel's data within its window, and drops it once we have closed the channel."""

    def keep(channel: paramiko.Channel, message: paramiko.Message) -> None:
        if channel.closed:
            return
        if max(len(channel.in_buffer), len(channel.in_stderr_buffer)) > _MAX_WAITING:
            raise paramiko.SSHException("it sends more than it was let")
        feed(channel, message)

    return keep


def _with_signals(handle: Callable[[paramiko.Channel, paramiko.Message], None]) -> Any:
    """Return what gives a command that a signal ended the status that a shell gives it; paramiko does not."""

    def handled(channel: paramiko.Channel, message: paramiko.Message) -> None:
        told = paramiko.Message(message.get_remainder())
        if told.get_string() == b"exit-signal":
            told.get_boolean()
            name = told.get_string().decode("ascii", errors="replace")
            if (number := signal.Signals.__members__.get(f"SIG{name}")) is not None:
                channel.exit_status = 128 + number
        handle(channel, message)

    return handled


_WRAPPED = {
    MSG_CHANNEL_DATA: _within,
    MSG_CHANNEL_EXTENDED_DATA: _within,
    MSG_CHANNEL_REQUEST: _with_signals,
}


class _Transport(paramiko.Transport):
    """A transport whose peer cannot have it keep more than it asked for."""

    _channel_handler_table: ClassVar[dict[int, Any]] = {
        kind: _WRAPPED[kind](handle) if kind in _WRAPPED else handle
        for kind, handle in channel_handlers(paramiko.Transport).items()
    }

    def __init__(self, sock: Any, **options: Any) -> None:
        super().__init__(sock, packetizer_class=_Packets, **options)
