"""SSH to a node: keys made for one lab and pinned, one connection kept open, no command run twice."""

from __future__ import annotations

import base64
import contextlib
import logging
import selectors
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import paramiko
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from fame_lab.cancel import is_cancelled, shielded
from fame_lab.directory import LabDirectory
from fame_lab.errors import SSHError
from fame_lab.guest import mark
from fame_lab.guest.image import Identity
from fame_lab.run_result import RunResult, shortened

__all__ = ["Connection", "Keys"]

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
USER = "root"
#: A guest that says more than this in one command is stopped listening to.
MOST_OUTPUT = 64 << 20
_CHUNK = 1 << 16
_PIPE_WAIT = 0.25
#: Seconds until a node that has not its keys yet is tried again: each try costs it a key exchange.
_UNSETTLED = 2.0
#: Seconds that a guest has for ending a command.
_LAST_WORD = 5.0
# paramiko logs each refused banner as an error, with a traceback, while a node is still coming up.
logging.getLogger("paramiko.transport").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Keys:
    """A lab's own keys: one that its nodes let in, and one for each that it shows.

    Parameters
    ----------
    client : paramiko.Ed25519Key
    hosts : mapping of str to paramiko.Ed25519Key
        By the node's name, the public half alone: an unknown key is an error.
    """

    client: paramiko.Ed25519Key
    hosts: Mapping[str, paramiko.Ed25519Key]

    @classmethod
    def make(cls, directory: LabDirectory, nodes: Sequence[str]) -> Keys:
        """Make fresh keys, and keep them in the lab's directory."""
        directory.write(directory.key, _private(Ed25519PrivateKey.generate()))
        known = []
        for node in nodes:
            host = Ed25519PrivateKey.generate()
            directory.write(directory.host_key(node), _private(host))
            public = host.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
            known.append(node.encode() + b" " + public + b"\n")
        directory.write(directory.known_hosts, b"".join(known))
        return cls.read(directory)

    @classmethod
    def read(cls, directory: LabDirectory) -> Keys:
        """Take up the keys of a lab that runs.

        Raises
        ------
        SSHError
            If they are not there any more.
        """
        try:
            client = paramiko.Ed25519Key.from_private_key_file(str(directory.key))
            known = (line.split() for line in directory.known_hosts.read_text().splitlines())
            hosts = {node: paramiko.Ed25519Key(data=base64.b64decode(key)) for node, _, key in known}
        except (OSError, ValueError, paramiko.SSHException) as error:
            raise SSHError(f"the keys of lab {directory.name!r} cannot be read: {error}") from error
        return cls(client, hosts)

    def identity(self, node: str, directory: LabDirectory) -> Identity:
        """Give what is the node's own.

        Raises
        ------
        SSHError
            If the private key that it shows cannot be read.
        """
        path = directory.host_key(node)
        try:
            host = load_ssh_private_key(path.read_bytes(), None)
        except (OSError, ValueError) as error:
            raise SSHError(f"the host key of {node} cannot be read from {path}: {error}") from error
        if not isinstance(host, Ed25519PrivateKey):
            raise SSHError(f"{path} holds another kind of key than the one made for {node}")
        return Identity(node, self.authorized, host)

    @property
    def authorized(self) -> str:
        """The line of ``authorized_keys`` that lets the client in."""
        return f"{self.client.get_name()} {self.client.get_base64()}"


class Connection:
    """The way into one node.

    Parameters
    ----------
    node : str
        For messages.
    port : callable
        Gives the port of 127.0.0.1 that leads to the node; asked at each new connection.
    keys : Keys
    """

    def __init__(self, node: str, port: Callable[[], int], keys: Keys) -> None:
        self.node = node
        self._port = port
        self._keys = keys
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
                except (paramiko.BadHostKeyException, paramiko.AuthenticationException) as error:
                    if settled or cancelled() or time.monotonic() > end:
                        raise SSHError(f"{self.node} {_refusal(error)}") from error
                    time.sleep(_UNSETTLED)
                except (OSError, EOFError, paramiko.SSHException) as error:
                    if cancelled():
                        raise SSHError(f"{self.node}: called off before it answered SSH") from error
                    if time.monotonic() > end:
                        raise SSHError(
                            f"{self.node} does not answer SSH within {deadline:.0f} s: {error}"
                        ) from error
                    time.sleep(0.05)

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
            longer than `timeout`; or if it is called off, see :mod:`fame_lab.cancel`. What it had started
            in the guest is ended, as far as the guest still listens.
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
        client = self.open(30.0 if timeout is None else min(timeout, 30.0), is_cancelled)
        if is_cancelled():
            raise SSHError(f"{self.node}: {shortened(command)} was called off before it began")
        its = mark.make()
        try:
            with self._channel(client) as channel:
                try:
                    channel.exec_command(mark.marked(command, its))
                    # Sent from aside, or a command that writes while it reads would wait for us forever.
                    if stdin:
                        threading.Thread(target=_send, args=(channel, stdin), daemon=True).start()
                    else:
                        channel.shutdown_write()
                    stdout, stderr = self._collect(channel, command, timeout)
                except (OSError, EOFError, paramiko.SSHException) as error:
                    raise SSHError(f"{self.node} went away during {shortened(command)}: {error}") from error
                status = channel.recv_exit_status()
        except BaseException:
            # Given up, called off or interrupted: it is not to go on unseen.
            self._end(client, its)
            raise
        if status < 0:
            raise SSHError(f"{self.node} went away during {shortened(command)}: no exit status came")
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
        host = self._keys.hosts[self.node]
        client.get_host_keys().add(f"[{HOST}]:{port}", host.get_name(), host)
        try:
            client.connect(
                HOST,
                port,
                USER,
                pkey=self._keys.client,
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

    @contextlib.contextmanager
    def _channel(self, client: paramiko.SSHClient, deadline: float = 30.0) -> Iterator[paramiko.Channel]:
        transport = client.get_transport()
        try:
            if transport is None:
                raise EOFError("the connection is closed")
            channel = transport.open_session(timeout=deadline)
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise SSHError(f"{self.node} opens no session: {error}") from error
        with channel:
            yield channel

    def _end(self, client: paramiko.SSHClient, its: str) -> None:
        """End what was marked in the guest; one that does not answer is left alone."""
        if not _is_alive(client):
            return
        with shielded(), contextlib.suppress(SSHError), self._channel(client, _LAST_WORD) as channel:
            try:
                channel.exec_command(mark.ending(its))
                channel.shutdown_write()
                self._collect(channel, "kill", _LAST_WORD)
            except (OSError, EOFError, paramiko.SSHException) as error:
                log.debug("%s: what ran may run on: %s", self.node, error)

    def _collect(self, channel: paramiko.Channel, command: str, timeout: float | None) -> tuple[bytes, bytes]:
        """Read both streams to their end; neither is let fill its window while the other is waited for."""
        stdout, stderr = bytearray(), bytearray()
        end = None if timeout is None else time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            selector.register(channel, selectors.EVENT_READ)
            while True:
                selector.select(_PIPE_WAIT)
                while channel.recv_ready():
                    stdout += channel.recv(_CHUNK)
                while channel.recv_stderr_ready():
                    stderr += channel.recv_stderr(_CHUNK)
                if len(stdout) + len(stderr) > MOST_OUTPUT:
                    raise SSHError(
                        f"{self.node}: {shortened(command)} says more than {MOST_OUTPUT >> 20} MiB; stopped"
                    )
                if is_cancelled():
                    raise SSHError(f"{self.node}: {shortened(command)} was called off")
                ended = channel.closed or (channel.eof_received and channel.exit_status_ready())
                if ended and not channel.recv_ready() and not channel.recv_stderr_ready():
                    return bytes(stdout), bytes(stderr)
                if end is not None and time.monotonic() > end:
                    raise SSHError(
                        f"{self.node}: {shortened(command)} takes longer than its {timeout:g} s; given up"
                    )


def _private(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())


def _refusal(error: paramiko.SSHException) -> str:
    if isinstance(error, paramiko.BadHostKeyException):
        return "shows another host key than this lab's: something else answers there"
    return f"does not let this lab's key in: {error}"


def _send(channel: paramiko.Channel, content: bytes) -> None:
    # A guest that stops reading closes the channel, which the status then tells.
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        channel.sendall(content)
        channel.shutdown_write()


def _is_alive(client: paramiko.SSHClient) -> bool:
    transport = client.get_transport()
    return transport is not None and transport.is_active()
