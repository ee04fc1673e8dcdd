"""One SSH connection to a node: its key pinned, and nothing kept that is larger than it may be."""

from __future__ import annotations

import base64
import io
import logging
import signal
import socket
from collections.abc import Callable
from typing import Any, ClassVar

import paramiko
from paramiko.common import MSG_CHANNEL_DATA, MSG_CHANNEL_EXTENDED_DATA, MSG_CHANNEL_REQUEST
from paramiko.packet import Packetizer

from fame_lab.core.compat import channel_handlers
from fame_lab.core.jobs.watchdog import abort_after
from fame_lab.core.sanitize import shortened
from fame_lab.errors import SSHError
from fame_lab.guest.ssh.keys import LabKeys

__all__ = ["Channel", "Link", "RefusedError", "begin", "refusal"]

#: A session on which one command runs.
Channel = paramiko.Channel

HOST = "127.0.0.1"
USER = "root"
#: The least seconds that a guest has to open a session; and how late paramiko may be.
_LEAST, _GRACE = 0.1, 2.0
#: paramiko's message for a refused key; a server that is silent or gone raises the same class of error.
_REFUSED = "Authentication failed."
#: Bytes of a packet, and of all lines before the first packet; OpenSSH takes no larger packet either.
_MAX_PACKET = 256 << 10
_MAX_BANNER = 64 << 10
#: Bytes of one stream that wait to be read: twice the window that we open, which a guest may overrun.
_MAX_WAITING = 4 << 20
# paramiko logs each refused banner as an error, with a traceback, while a node is still coming up.
logging.getLogger("paramiko.transport").setLevel(logging.CRITICAL)


class RefusedError(Exception):
    """A server opens no further session on this connection."""


class Link:
    """A connection on which a node's SSH server has accepted the lab's key.

    Parameters
    ----------
    client : paramiko.SSHClient
        It is connected.
    """

    def __init__(self, client: paramiko.SSHClient) -> None:
        self._client = client
        version = getattr(client.get_transport(), "remote_version", "")
        #: Whether the server gets one session at a time. When a command ends, dropbear closes all sessions of
        #: that connection in which no command has begun yet, and runs their commands all the same
        #: (svr-chansession.c: sesscheckclose, sessioncommand).
        self.is_single = "dropbear" in version.lower()

    @classmethod
    def to(cls, node: str, port: int, keys: LabKeys, *, timeout: float, peer_timeout: float) -> Link:
        """Connect to a node once, within `timeout` seconds.

        Parameters
        ----------
        node : str
        port : int
            The port of 127.0.0.1 that leads to the node.
        keys : LabKeys
        timeout, peer_timeout : float
            Seconds to connect; and seconds after which a peer that reads nothing ends the connection.

        Raises
        ------
        Exception
            An error of paramiko's or the socket's; :func:`refusal` tells whether it is final.
        """
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        host = paramiko.Ed25519Key(data=base64.b64decode(keys.hosts[node]))
        client.get_host_keys().add(f"[{HOST}]:{port}", host.get_name(), host)

        def transport(sock: Any, **options: Any) -> _Transport:
            # Or a write to a peer that reads nothing would block all users of this connection for ever.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(peer_timeout * 1000))
            return _Transport(sock, **options)

        try:
            with abort_after(timeout, client.close):
                client.connect(
                    HOST,
                    port,
                    USER,
                    pkey=paramiko.Ed25519Key.from_private_key(io.StringIO(keys.client)),
                    transport_factory=transport,
                    allow_agent=False,
                    look_for_keys=False,
                    timeout=timeout,
                    banner_timeout=timeout,
                    auth_timeout=timeout,
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

    def session(self, timeout: float) -> Channel:
        """Open a session within `timeout` seconds.

        Raises
        ------
        RefusedError
            If the server refuses one.
        Exception
            An error of paramiko's, if the server is silent or the connection has ended.
        """
        transport = self._client.get_transport()
        if transport is None:
            raise EOFError("the connection is closed")
        timeout = max(timeout, _LEAST)
        try:
            with abort_after(timeout + _GRACE, self._client.close):
                return transport.open_session(timeout=timeout)
        except paramiko.ChannelException as error:
            raise RefusedError(str(error)) from error

    def close(self) -> None:
        """Close the connection and end its thread."""
        self._client.close()


def begin(node: str, channel: Channel, command: bytes, timeout: float) -> None:
    """Start a command on a session of its own.

    Raises
    ------
    SSHError
        If the server does not answer within `timeout` seconds.
    """
    with abort_after(timeout, channel.close) as is_expired:
        try:
            channel.exec_command(command)
        except paramiko.SSHException as error:
            if not is_expired():
                raise
            raise SSHError(f"{node} begins nothing within {timeout:g} s: it may hang") from error


def refusal(error: Exception) -> str:
    """Return how a server refused our key, or showed another of its own; nothing if it did neither."""
    if isinstance(error, paramiko.BadHostKeyException):
        return "shows another host key than this lab's: something else answers there"
    if str(error) == _REFUSED or isinstance(error, paramiko.BadAuthenticationType):
        return f"does not let this lab's key in: {shortened(str(error))}"
    return ""


class _Packets(Packetizer):
    """Packets of a bounded size: paramiko would keep 4 GiB of one, and any length of a line."""

    _banner = 0

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        if n > _MAX_PACKET:
            raise paramiko.SSHException(f"a packet of {n} bytes is announced")
        return super().read_all(n, check_rekey)

    def _read_timeout(self, timeout: float) -> bytes:
        data: bytes = super()._read_timeout(timeout)  # type: ignore[misc]
        self._banner += len(data)
        if self._banner > _MAX_BANNER:
            raise paramiko.SSHException(f"{self._banner} bytes came before the first packet")
        return data


def _within(feed: Callable[[paramiko.Channel, paramiko.Message], None]) -> Any:
    """Return a handler that refuses data beyond a channel's window, and drops those of a closed channel."""

    def handle(channel: paramiko.Channel, message: paramiko.Message) -> None:
        if channel.closed:
            return
        if max(len(channel.in_buffer), len(channel.in_stderr_buffer)) > _MAX_WAITING:
            raise paramiko.SSHException("it sends more than it was let")
        feed(channel, message)

    return handle


def _with_signals(handle: Callable[[paramiko.Channel, paramiko.Message], None]) -> Any:
    """Return a handler that sets a killed command's status as a shell does; paramiko sets none."""

    def handled(channel: paramiko.Channel, message: paramiko.Message) -> None:
        request = paramiko.Message(message.get_remainder())
        if request.get_string() == b"exit-signal":
            request.get_boolean()
            name = request.get_string().decode("ascii", errors="replace")
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
    """A transport that keeps no more of its peer's data than it asked for."""

    _channel_handler_table: ClassVar[dict[int, Any]] = {
        kind: _WRAPPED[kind](handle) if kind in _WRAPPED else handle
        for kind, handle in channel_handlers(paramiko.Transport).items()
    }

    def __init__(self, sock: Any, **options: Any) -> None:
        super().__init__(sock, packetizer_class=_Packets, **options)
