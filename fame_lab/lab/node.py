"""One VM of a lab: asked over SSH, watched through libvirt."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from fame_lab.core import above, native
from fame_lab.core.jobs.cancellation import cancellable, is_cancelled
from fame_lab.core.numeric import check_seconds
from fame_lab.errors import CommandError, SSHError
from fame_lab.guest.ssh import file_transfer
from fame_lab.guest.ssh.run_result import RunResult
from fame_lab.host.fam_trouble import trouble
from fame_lab.lab.lab_html import node_html
from fame_lab.lab.node_vm import NodeVM
from fame_lab.lab.start_mode import StartMode, Tell
from fame_lab.probes.common import program_output
from fame_lab.probes.common.program_step import program_run

if TYPE_CHECKING:
    from fame_lab.host.libvirt.domain import Domain
    from fame_lab.lab.context import LabContext

__all__ = ["Node"]

#: Seconds in which libvirt notices that a QEMU has ended.
_EXIT_NOTICE_SECONDS = 5.0
_PROBE_IN_IMAGE = "/usr/bin/fame-probe"


class Node(NodeVM):
    """A node of a lab.

    Parameters
    ----------
    context : LabContext
        What it shares with the lab's other nodes.
    domain : Domain
        Its libvirt domain.
    """

    def __init__(self, context: LabContext, domain: Domain) -> None:
        super().__init__(context, domain)
        self._probe_path: str | None = None
        self._delivery = threading.Lock()
        self.connection = context.host.ssh(
            self.name, lambda: self.ssh_port, context.keys, lambda: trouble(context.fam)
        )

    @property
    def ssh_command(self) -> list[str]:
        """The words that open a shell on the node with OpenSSH's client, pinned to the lab's host key.

        The client reads no configuration, neither the user's nor the system's.
        """
        directory = self._context.directory
        return [
            "ssh",
            # All nodes are root@127.0.0.1: a master connection of the user's configuration would answer for
            # another node, and what it forwards would reach a guest that is not trusted.
            *("-F", "none"),
            *("-i", str(directory.key), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"),
            *("-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={directory.known_hosts}"),
            *("-o", "GlobalKnownHostsFile=none", "-o", f"HostKeyAlias={self.name}"),
            *("-p", str(self.ssh_port), "root@127.0.0.1"),
        ]

    def run(
        self,
        command: str,
        *,
        check: bool = True,
        timeout: float | None = None,
        stdin: bytes | Iterable[bytes] = b"",
    ) -> RunResult:
        r"""Run a command by the node's shell, once.

        Parameters
        ----------
        command : str
            For the shell, of up to 8 MiB.
        check : bool
            Whether a status other than 0 is an error.
        timeout : float, optional
            Seconds, a wait for other commands of this node included; then it is ended in the node too.
        stdin : bytes or iterable of bytes
            Its standard input.

        Returns
        -------
        RunResult
            ``stdout``, ``stderr``, ``exit_status`` and ``seconds``.

        Raises
        ------
        CommandError
            If its status is not 0, and `check` is true.
        SSHError
            If the node does not answer, or not in time, or the command was cancelled.

        Examples
        --------
        >>> lab.nodes[0].run("uname -r").stdout  # doctest: +SKIP
        '6.1.0-37-cloud-amd64\\n'
        """
        with self._mourned(timeout):
            return self.connection.run(command, check=check, timeout=timeout, stdin=stdin)

    def put(
        self,
        local: str | os.PathLike[str],
        remote: str | os.PathLike[str],
        *,
        mode: int | None = None,
        timeout: float | None = None,
    ) -> PurePosixPath:
        """Copy a file into the node; it appears whole or not at all, and replaces an existing one.

        Parameters
        ----------
        local : path
            A regular file here; ``~`` is your home. A link is followed.
        remote : path
            A path in the node; relative to root's home, which ``~`` is too. In a directory the file has its
            own name. A link to a file is followed.
        mode : int, optional
            Permissions, such as 0o755; by default those of the local file.
        timeout : float, optional
            Seconds after which the copy fails.

        Returns
        -------
        PurePosixPath
            Its path in the node: `remote`, or the file in it if that is a directory.

        Raises
        ------
        SpecError
            If an argument cannot be right, such as a directory for `local`.
        HostError
            If the file cannot be read here.
        CommandError
            If the node cannot write it, for want of room, say. Nothing of it is left then.
        SSHError
            If the node does not answer in time.

        Examples
        --------
        >>> lab.nodes[0].put("producer", "/usr/local/bin", mode=0o755)  # doctest: +SKIP
        PurePosixPath('/usr/local/bin/producer')
        """
        with self._mourned(timeout):
            return file_transfer.put(self.connection, local, remote, mode=mode, timeout=timeout)

    def get(
        self,
        remote: str | os.PathLike[str],
        local: str | os.PathLike[str],
        *,
        most: int | str = "64M",
        timeout: float | None = None,
    ) -> Path:
        """Copy a file out of the node; it appears whole or not at all, and replaces an existing one.

        Parameters
        ----------
        remote : path
            A regular file in the node; relative to root's home, which ``~`` is too. A link is followed.
        local : path
            Its path here; ``~`` is your home. In a directory the file has its own name. A link to a file is
            followed. Permissions are those that the file has in the node, less your umask.
        most : int or str
            Bytes that it may have: a guest must not fill the host's disk.
        timeout : float, optional
            Seconds after which the copy fails.

        Returns
        -------
        Path
            Its path here: `local`, or the file in it if that is a directory.

        Raises
        ------
        SpecError
            If an argument cannot be right, or the file is larger than `most`.
        HostError
            If it cannot be written here. Nothing of it is left then.
        CommandError
            If the node cannot read it.
        SSHError
            If the node does not answer in time.
        """
        with self._mourned(timeout):
            return file_transfer.get(self.connection, remote, local, most=most, timeout=timeout)

    @contextlib.contextmanager
    def _mourned(self, timeout: float | None) -> Iterator[None]:
        """Add to an error of the block how the node's QEMU ended, if it did, within the block's timeout."""
        start = time.monotonic()
        if not self._context.directory.path.is_dir():
            raise SSHError(
                f"{self.name}: its lab, {self._context.spec.name}, has ended", hint="start another"
            )
        try:
            yield
        except SSHError as error:
            if isinstance(error, CommandError) or is_cancelled():
                raise
            remaining = _EXIT_NOTICE_SECONDS if timeout is None else start + timeout - time.monotonic()
            if self._has_ended(min(remaining, _EXIT_NOTICE_SECONDS)):
                raise SSHError(f"{error}: {self.domain.exit_report()}") from error
            raise

    def probe(self, *arguments: str, timeout: float | None = None) -> list[dict[str, Any]]:
        """Run the probe program in the guest, delivering it first unless it is there.

        Parameters
        ----------
        arguments : str
            The program's command and its options.
        timeout : float, optional
            Seconds.

        Returns
        -------
        list of dict
            One for each line of JSON that it wrote, its form checked and its numbers finite.

        Raises
        ------
        CommandError
            If the program refuses, with what it says.
        ProbeError
            If what it wrote is not the JSON that it should be.
        """
        command = shlex.join([self._delivered(), *arguments])
        with program_run(self.name, arguments):
            output = self.run(command, timeout=timeout).stdout
        return program_output.parse_output(output, self.name)

    def _delivered(self) -> str:
        with self._delivery:
            if self._probe_path is None:
                path = _PROBE_IN_IMAGE
                if not self._context.image.has_probe:
                    program = native.PROBE.binary()
                    path = f"/tmp/fame-probe-{hashlib.sha256(program.read_bytes()).hexdigest()[:16]}"  # noqa: S108 - in the guest
                    self.put(program, path, mode=0o755)
                self._probe_path = path
            return self._probe_path

    def restart(
        self,
        *,
        deadline: float | None = None,
        cancelled: threading.Event | None = None,
        tell: Tell = lambda _node, _stage: None,
    ) -> None:
        """Boot the node anew, into the same FAM, which keeps what it holds.

        Parameters
        ----------
        deadline : float, optional
            Seconds from power-on to its first SSH answer; by default the image says.
        cancelled : threading.Event, optional
            Set it, from any thread, to call it off; the node is gone then.
        tell : callable
            Told as it goes on: the node's name and the stage that it has come to.

        Raises
        ------
        BootError
            If it does not come up.
        HostError
            If FAM is not the file that the other nodes have.
        """
        deadline = None if deadline is None else check_seconds("deadline", deadline)
        self._context.fam.check()
        self.connection.close()
        self.domain.destroy()
        start = StartMode(None, "it was restarted, and the template goes when the lab is up")
        with cancellable(cancelled or threading.Event()):
            boot = above.load("boot")
            node: Node = boot.bring_up(self._context, self.index, start, deadline=deadline, tell=tell)
        self._domain, self.connection = node._domain, node.connection
        self._probe_path = None

    def __repr__(self) -> str:
        return f"<Node {self.name} of {self._context.spec.name!r}>"

    def _repr_html_(self) -> str:
        return node_html(self.name, self._context.spec)
