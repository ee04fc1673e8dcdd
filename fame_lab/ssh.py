"""SSH to a node: its key pinned, one connection kept open, no command run twice, no flood kept."""

from __future__ import annotations

import base64
import contextlib
import io
import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar

import paramiko
from paramiko.common import MSG_CHANNEL_DATA, MSG_CHANNEL_EXTENDED_DATA
from paramiko.packet import Packetizer

from fame_lab.cancel import is_cancelled, shielded
from fame_lab.errors import FameError, SSHError
from fame_lab.guest import mark
from fame_lab.keys import Keys
from fame_lab.patience import given
from fame_lab.quoting import shortened
from fame_lab.run_result import RunResult
from fame_lab.streams import collect

__all__ = ["Connection"]

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
USER = "root"
#: Seconds in which a guest must begin what it is asked for; the least of it; how late paramiko may be.
_PATIENCE, _LEAST, _GRACE = 30.0, 0.1, 2.0
#: Seconds until a node that has not its keys yet is tried again: each try costs it a key exchange.
_UNSETTLED = 2.0
#: Seconds that a guest has for ending a command.
_LAST_WORD = 5.0
#: What paramiko says of a key that was refused; a server that is silent or gone raises the same error.
_REFUSED = "Authentication failed."
#: A process cannot end with a larger one, and a shell shows the rest of a division by 256.
_MOST_STATUS = 255
#: Bytes of a packet and of all lines before the first one; OpenSSH takes no larger packet either.
_MOST_PACKET = 256 << 10
_MOST_BANNER = 64 << 10
#: Bytes that wait to be read of one stream: twice the window that we open, which a guest may not keep to.
_MOST_WAITING = 4 << 20
# paramiko logs each refused banner as an error, with a traceback, while a node is still coming up.
logging.getLogger("paramiko.transport").setLevel(logging.CRITICAL)


class Connection:
    """The way into one node.

    Parameters
    ----------
    node : str
        For messages.
    port : callable
        Gives the port of 127.0.0.1 that leads to the node; asked at each new connection.
    keys : Keys
    trouble : callable
        Says what is seen to stop the node, for messages and for who waits without a limit; see
        :mod:`fame_lab.fam_trouble`.
    """

    def __init__(
        self, node: str, port: Callable[[], int], keys: Keys, trouble: Callable[[], str] = lambda: ""
    ) -> None:
        self.node = node
        self._port = port
        self._keys = keys
        self._trouble = trouble
        self._client: paramiko.SSHClient | None = None
        self._lock = threading.Lock()

    def open(
        self,
        deadline: float = 30.0,
        cancelled: Callable[[], bool] = lambda: False,
        *,
        settled: bool = True,
    ) -> paramiko.SSHClient:
        """Connect unless connected; tried again until `deadline` seconds have gone.

        Parameters
        ----------
        deadline : float
        cancelled : callable
            Whether it is called off; looked at between two tries.
        settled : bool
            Whether the node has its keys by now. If not, one that shows another or does not let ours in is
            tried again: its SSH server may be up before who it is.

        Raises
        ------
        SSHError
            If the node does not answer in time, or shows another key than the lab's.
        """
        with self._lock:
            if self._client is not None and _is_alive(self._client):
                return self._client
            self._drop()
            end = time.monotonic() + deadline
            while True:
                try:
                    self._client = self._connect(max(end - time.monotonic(), 1.0))
                    return self._client
                except FameError:
                    raise  # its QEMU has ended, or hangs
                except Exception as error:
                    refusal = _refusal(error)
                    if refusal and (settled or cancelled() or time.monotonic() > end):
                        raise SSHError(f"{self.node} {refusal}") from error
                    if cancelled():
                        raise SSHError(f"{self.node}: called off before it answered SSH") from error
                    if time.monotonic() > end:
                        why = shortened(str(error))
                        raise SSHError(
                            f"{self.node} does not answer SSH within {deadline:.0f} s: {why}"
                        ) from error
                    time.sleep(_UNSETTLED if refusal else 0.05)

    def run(
        self, command: str, *, check: bool = True, timeout: float | None = None, stdin: bytes = b""
    ) -> RunResult:
        """Run a command by the guest's shell, once. It has a mark in its environment, FAME_LAB_COMMAND.

        Parameters
        ----------
        command : str
        check : bool
            Whether a status other than 0 raises.
        timeout : float, optional
            Seconds after which it is given up; by default it may take as long as it likes.
        stdin : bytes

        Raises
        ------
        CommandError
            If its status is not 0 and `check` holds.
        SSHError
            If the node does not answer, goes away before the status, says more than 64 MiB, or takes
            longer than `timeout`; or if it is called off, see :mod:`fame_lab.cancel`. Without a `timeout`,
            too, if it says nothing for a minute and the node may hang, as FAM was truncated or has no room.
            What it had started in the guest is ended, as far as the guest still listens.
        """
        start = time.monotonic()
        stdout, stderr, status = self.execute(command, timeout=timeout, stdin=stdin)
        result = RunResult(
            stdout.decode(errors="replace"),
            stderr.decode(errors="replace"),
            status,
            time.monotonic() - start,
            command,
            self.node,
        )
        return result.check() if check else result

    def execute(
        self, command: str, *, timeout: float | None = None, stdin: bytes = b""
    ) -> tuple[bytes, bytes, int]:
        """Run a command as :meth:`run` does, and give both streams as they came, and the status."""
        try:
            return self._execute(command, timeout, stdin)
        except SSHError as error:
            if is_cancelled() or not (trouble := self._trouble()):
                raise
            raise SSHError(f"{error}: {trouble}") from error

    def _execute(self, command: str, timeout: float | None, stdin: bytes) -> tuple[bytes, bytes, int]:
        patience = _PATIENCE if timeout is None else min(timeout, _PATIENCE)
        client, channel = self._session(patience)
        its = mark.make()
        try:
            with contextlib.closing(channel):
                if is_cancelled():
                    raise SSHError(f"{self.node}: {shortened(command)} was called off before it began")
                self._begin(channel, mark.marked(command, its), patience)
                # Sent from aside, or a command that writes while it reads would wait for us forever.
                if stdin:
                    threading.Thread(target=_send, args=(channel, stdin), daemon=True).start()
                else:
                    channel.shutdown_write()
                what = f"{self.node}: {shortened(command)}"
                stdout, stderr = collect(channel, what, timeout, self._trouble)
                status = channel.recv_exit_status()
        except BaseException as error:
            # Given up, called off or interrupted: it is not to go on unseen.
            self._end(client, its)
            if isinstance(error, FameError) or not isinstance(error, Exception):
                raise
            why = shortened(str(error))
            raise SSHError(f"{self.node} went away during {shortened(command)}: {why}") from error
        if not 0 <= status <= _MOST_STATUS:
            said = "no exit status came" if status < 0 else f"its exit status is said to be {status}"
            raise SSHError(f"{self.node} went away during {shortened(command)}: {said}")
        return stdout, stderr, status

    def close(self) -> None:
        """End the connection and its thread."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _connect(self, left: float) -> paramiko.SSHClient:
        port = self._port()
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        host = paramiko.Ed25519Key(data=base64.b64decode(self._keys.hosts[self.node]))
        client.get_host_keys().add(f"[{HOST}]:{port}", host.get_name(), host)
        try:
            with given(left, client.close):
                client.connect(
                    HOST,
                    port,
                    USER,
                    pkey=paramiko.Ed25519Key.from_private_key(io.StringIO(self._keys.client)),
                    transport_factory=_Transport,
                    allow_agent=False,
                    look_for_keys=False,
                    timeout=left,
                    banner_timeout=left,
                    auth_timeout=left,
                )
        except BaseException:
            client.close()
            raise
        return client

    def _session(self, patience: float) -> tuple[paramiko.SSHClient, paramiko.Channel]:
        """Open a session, by a new connection if the one before was with an earlier life of the guest."""
        end = time.monotonic() + patience
        while True:
            client = self.open(max(end - time.monotonic(), 0.0), is_cancelled)
            try:
                return client, _open_session(client, max(end - time.monotonic(), _LEAST))
            except Exception as error:
                # Nothing ran yet. One that refuses is not asked again; one that is silent has had its time.
                refused = isinstance(error, paramiko.ChannelException)
                if refused or is_cancelled() or time.monotonic() > end:
                    why = shortened(str(error)) or "it is silent"
                    raise SSHError(f"{self.node} opens no session: {why}") from error

    def _begin(self, channel: paramiko.Channel, command: str, patience: float) -> None:
        """Have a command taken."""
        with given(patience, channel.close) as given_up:
            try:
                channel.exec_command(command)
            except paramiko.SSHException as error:
                if not given_up():
                    raise
                words = f"{self.node} begins nothing within {patience:g} s: it may hang"
                raise SSHError(words) from error

    def _end(self, client: paramiko.SSHClient, its: str) -> None:
        """End what was marked in the guest; one that does not answer is left alone."""
        if not _is_alive(client):
            return
        with shielded():
            try:
                with contextlib.closing(_open_session(client, _LAST_WORD)) as channel:
                    self._begin(channel, mark.ending(its), _LAST_WORD)
                    channel.shutdown_write()
                    collect(channel, self.node, _LAST_WORD)
            except Exception as error:  # noqa: BLE001 - as above; what led here is raised
                log.debug("%s: what ran may run on: %r", self.node, error)


def _open_session(client: paramiko.SSHClient, patience: float) -> paramiko.Channel:
    transport = client.get_transport()
    if transport is None:
        raise EOFError("the connection is closed")
    with given(patience + _GRACE, client.close):
        return transport.open_session(timeout=patience)


class _Packets(Packetizer):
    """Packets of a size that may be: paramiko would keep 4 GiB of one, and any length of a line."""

    _banner = 0

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        if n > _MOST_PACKET:
            raise paramiko.SSHException(f"a packet of {n} bytes is announced")
        return super().read_all(n, check_rekey)

    def _read_timeout(self, timeout: float) -> bytes:
        found: bytes = super()._read_timeout(timeout)  # type: ignore[misc]
        self._banner += len(found)
        if self._banner > _MOST_BANNER:
            raise paramiko.SSHException(f"{self._banner} bytes came before the first packet")
        return found


def _within(feed: Callable[[paramiko.Channel, paramiko.Message], None]) -> Any:
    """Keep what comes on a channel within its window, and nothing once we have closed it."""

    def keep(channel: paramiko.Channel, message: paramiko.Message) -> None:
        if channel.closed:
            return
        if max(len(channel.in_buffer), len(channel.in_stderr_buffer)) > _MOST_WAITING:
            raise paramiko.SSHException("it sends more than it was let")
        feed(channel, message)

    return keep


class _Transport(paramiko.Transport):
    """A transport whose peer cannot have it keep more than it asked for."""

    _channel_handler_table: ClassVar[dict[int, Any]] = {
        kind: _within(handle) if kind in (MSG_CHANNEL_DATA, MSG_CHANNEL_EXTENDED_DATA) else handle
        for kind, handle in paramiko.Transport._channel_handler_table.items()  # type: ignore[attr-defined]
    }

    def __init__(self, sock: Any, **options: Any) -> None:
        super().__init__(sock, packetizer_class=_Packets, **options)
        # Or to write to one that reads nothing would keep us, and who else has this connection, for ever.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(_PATIENCE * 1000))


def _refusal(error: Exception) -> str:
    """Say how a server refused us, or showed itself to be another; nothing if it did neither."""
    if isinstance(error, paramiko.BadHostKeyException):
        return "shows another host key than this lab's: something else answers there"
    if str(error) == _REFUSED or isinstance(error, paramiko.BadAuthenticationType):
        return f"does not let this lab's key in: {shortened(str(error))}"
    return ""


def _send(channel: paramiko.Channel, content: bytes) -> None:
    # A guest that stops reading closes the channel, which the status then tells.
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        channel.sendall(content)
        channel.shutdown_write()


def _is_alive(client: paramiko.SSHClient) -> bool:
    transport = client.get_transport()
    return transport is not None and transport.is_active()
