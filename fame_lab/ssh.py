"""SSH to a node: keys made for one lab and pinned, one connection kept open, no command run twice."""

from __future__ import annotations

import base64
import contextlib
import logging
import os
import selectors
import shlex
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import paramiko
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from fame_lab.directory import HOST_ALIAS, LabDirectory
from fame_lab.errors import SSHError
from fame_lab.run_result import RunResult, shortened

__all__ = ["Connection", "Keys"]

HOST = "127.0.0.1"
USER = "root"
#: A guest that says more than this in one command is stopped listening to.
MOST_OUTPUT = 64 << 20
_CHUNK = 1 << 16
_PIPE_WAIT = 0.25
# paramiko logs each refused banner as an error, with a traceback, while a node is still coming up.
logging.getLogger("paramiko.transport").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Keys:
    """A lab's own keys: one that its nodes let in, one that they show.

    Parameters
    ----------
    client : paramiko.Ed25519Key
    host : paramiko.Ed25519Key
        The public half alone: an unknown key is an error.
    """

    client: paramiko.Ed25519Key
    host: paramiko.Ed25519Key

    @classmethod
    def make(cls, directory: LabDirectory) -> tuple[Keys, Ed25519PrivateKey]:
        """Make fresh keys; hand out the host's private one, which is not kept here."""
        client, host = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
        private = client.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        public = host.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        directory.write(directory.key, private)
        directory.write(directory.known_hosts, HOST_ALIAS.encode() + b" " + public + b"\n")
        return cls.read(directory), host

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
            public = base64.b64decode(directory.known_hosts.read_text().split()[2])
            return cls(client, paramiko.Ed25519Key(data=public))
        except (OSError, ValueError, IndexError, paramiko.SSHException) as error:
            raise SSHError(f"the keys of lab {directory.name!r} cannot be read: {error}") from error

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
        self, deadline: float = 30.0, cancelled: Callable[[], bool] = lambda: False
    ) -> paramiko.SSHClient:
        """Connect unless connected; tried again until `deadline` seconds have gone.

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
                except paramiko.BadHostKeyException as error:
                    raise SSHError(
                        f"{self.node} shows another host key than this lab's: something else answers there"
                    ) from error
                except paramiko.AuthenticationException as error:
                    raise SSHError(f"{self.node} does not let this lab's key in: {error}") from error
                except (OSError, EOFError, paramiko.SSHException) as error:
                    if time.monotonic() > end or cancelled():
                        raise SSHError(
                            f"{self.node} does not answer SSH within {deadline:.0f} s: {error}"
                        ) from error
                    time.sleep(0.05)

    def run(
        self, command: str, *, check: bool = True, timeout: float | None = None, stdin: bytes = b""
    ) -> RunResult:
        """Run a command by the guest's shell, once.

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
            longer than `timeout`.
        """
        start = time.monotonic()
        client = self.open(30.0 if timeout is None else min(timeout, 30.0))
        with self._channel(client) as channel:
            try:
                channel.exec_command(command)
                # Sent from aside, or a command that writes while it reads would wait for us forever.
                sender = threading.Thread(target=_send, args=(channel, stdin), daemon=True) if stdin else None
                if sender is not None:
                    sender.start()
                else:
                    channel.shutdown_write()
                stdout, stderr = self._collect(channel, command, timeout)
            except (OSError, EOFError, paramiko.SSHException) as error:
                raise SSHError(f"{self.node} went away during {shortened(command)}: {error}") from error
            status = channel.recv_exit_status()
        if status < 0:
            raise SSHError(f"{self.node} went away during {shortened(command)}: no exit status came")
        result = RunResult(
            stdout.decode(errors="replace"),
            stderr.decode(errors="replace"),
            status,
            time.monotonic() - start,
            command,
            self.node,
        )
        return result.check() if check else result

    def put(self, local: str | Path, remote: str, *, mode: int = 0o644) -> None:
        """Copy a file into the guest; it appears whole or not at all.

        Over the shell, since the appliance's SSH server has no SFTP and a guest of the user's may not.

        Raises
        ------
        CommandError
            If the guest cannot write it.
        OSError
            If the local file cannot be read.
        """
        content = Path(local).read_bytes()
        part = shlex.quote(f"{remote}.part")
        target = shlex.quote(remote)
        self.run(
            f"cat > {part} && [ $(wc -c < {part}) -eq {len(content)} ] && "
            f"chmod {mode:o} {part} && mv {part} {target}",
            stdin=content,
        )

    def get(self, remote: str, local: str | Path) -> Path:
        """Copy a file of up to 64 MiB out of the guest; it appears whole or not at all.

        Returns
        -------
        Path
            Where it is: `local`, or the file in it if that is a directory.

        Raises
        ------
        CommandError
            If the guest cannot read it.
        """
        target = Path(local)
        if target.is_dir():
            target /= PurePosixPath(remote).name
        with self._channel(self.open()) as channel:
            command = f"cat < {shlex.quote(remote)}"
            channel.exec_command(command)
            channel.shutdown_write()
            stdout, stderr = self._collect(channel, command, None)
            status = channel.recv_exit_status()
        RunResult("", stderr.decode(errors="replace"), status, 0.0, command, self.node).check()
        descriptor, part = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(stdout)
            Path(part).replace(target)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise
        return target

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
        client.get_host_keys().add(f"[{HOST}]:{port}", self._keys.host.get_name(), self._keys.host)
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
    def _channel(self, client: paramiko.SSHClient) -> Iterator[paramiko.Channel]:
        transport = client.get_transport()
        try:
            if transport is None:
                raise EOFError("the connection is closed")
            channel = transport.open_session(timeout=30)
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise SSHError(f"{self.node} opens no session: {error}") from error
        with channel:
            yield channel

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
                ended = channel.closed or (channel.eof_received and channel.exit_status_ready())
                if ended and not channel.recv_ready() and not channel.recv_stderr_ready():
                    return bytes(stdout), bytes(stderr)
                if end is not None and time.monotonic() > end:
                    raise SSHError(
                        f"{self.node}: {shortened(command)} takes longer than its {timeout:g} s; given up"
                    )


def _send(channel: paramiko.Channel, content: bytes) -> None:
    # A guest that stops reading closes the channel, which the status then tells.
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        channel.sendall(content)
        channel.shutdown_write()


def _is_alive(client: paramiko.SSHClient) -> bool:
    transport = client.get_transport()
    return transport is not None and transport.is_active()
