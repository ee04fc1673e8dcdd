"""Commands on a node over SSH: no command run twice, none longer than it may take, no flood kept."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator

from fame_lab.core.jobs.cancellation import is_cancelled, shielded
from fame_lab.core.numeric import check_seconds
from fame_lab.core.sanitize import quoted, shortened
from fame_lab.errors import FameError, SpecError, SSHError
from fame_lab.guest.ssh import process_tag
from fame_lab.guest.ssh.input import Feed
from fame_lab.guest.ssh.keys import LabKeys
from fame_lab.guest.ssh.link import Channel, Link, begin
from fame_lab.guest.ssh.output import Sink, collect
from fame_lab.guest.ssh.run_result import RunResult
from fame_lab.guest.ssh.sessions import BusyError, Session, Sessions

__all__ = ["Connection", "check_command"]

log = logging.getLogger(__name__)

#: Seconds in which a guest must start a command.
_PATIENCE = 30.0
#: Seconds that a guest has to kill a command.
_KILL_TIMEOUT = 5.0
#: The largest exit status of a process: a shell shows the rest of a division by 256.
_MAX_STATUS = 255
#: Bytes of a command; a guest's shell holds several copies of it.
_MAX_COMMAND = 8 << 20


class Connection:
    """The way into one node.

    Parameters
    ----------
    node : str
        For messages.
    port : callable
        Returns the port of 127.0.0.1 that leads to the node; called at each new connection.
    keys : LabKeys
    trouble : callable
        Returns the fault that stops the node, if one is seen. It is for messages, and ends a wait without a
        timeout; see :mod:`fame_lab.host.fam_trouble`.
    """

    def __init__(
        self, node: str, port: Callable[[], int], keys: LabKeys, trouble: Callable[[], str] = lambda: ""
    ) -> None:
        self.node = node
        self._port = port
        self._keys = keys
        self._trouble = trouble
        self._sessions = Sessions(node, self._link)

    def _link(self, timeout: float) -> Link:
        return Link.to(self.node, self._port(), self._keys, timeout=timeout, peer_timeout=_PATIENCE)

    def open(self, deadline: float = 30.0, *, settled: bool = True) -> None:
        """Connect unless connected; retry until `deadline` seconds have passed.

        Parameters
        ----------
        deadline : float
        settled : bool
            Whether the node has its keys by now. If not, a wrong host key or a refusal of ours is retried: a
            node's SSH server may be up before its keys are.

        Raises
        ------
        SSHError
            If the node does not answer in time, or shows another key than the lab's.
        """
        self._sessions.open(deadline, settled=settled)

    def run(
        self,
        command: str,
        *,
        check: bool = True,
        timeout: float | None = None,
        stdin: bytes | Iterable[bytes] = b"",
    ) -> RunResult:
        """Run a command by the guest's shell, once; see :meth:`fame_lab.Node.run`.

        It has a tag in its environment, FAME_LAB_COMMAND. As many commands run at a time as the node's SSH
        server takes; more wait until one of them has ended. A command that is longer than an SSH server takes
        is sent before its standard input. The processes of a command that fails are killed, as far as the
        guest still listens.

        Raises
        ------
        SpecError
            If the command is no text, is too long or holds a null character.
        CommandError
            If its status is not 0 and `check` holds.
        SSHError
            If the node does not answer, goes away before the status, writes more than 64 MiB, or takes longer
            than `timeout`; or if the call is cancelled, see :mod:`fame_lab.core.jobs.cancellation`. Without a
            `timeout`, also if the command is silent for a minute and the node may hang, as FAM was truncated
            or has no room.
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
        self,
        command: str,
        *,
        timeout: float | None = None,
        stdin: bytes | Iterable[bytes] = b"",
        sink: Sink | None = None,
        words: str = "",
    ) -> tuple[bytes, bytes, int]:
        """Run a command as :meth:`run` does, and return both streams as they came, and the status.

        Parameters
        ----------
        command, timeout
            See :meth:`run`.
        stdin : bytes or iterable of bytes
            An error of an iterable ends the command, and is raised here.
        sink : callable, optional
            Takes the pieces of standard output as they come. They are not kept then, and may be any number.
        words : str
            The command's name in messages; by default its beginning.
        """
        check_command(command)
        timeout = None if timeout is None else check_seconds("timeout", timeout)
        try:
            return self._execute(command, words or shortened(command), timeout, stdin, sink)
        except SSHError as error:
            if is_cancelled() or not (trouble := self._trouble()):
                raise
            raise SSHError(f"{error}: {trouble}") from error

    def _execute(
        self,
        command: str,
        words: str,
        timeout: float | None,
        stdin: bytes | Iterable[bytes],
        sink: Sink | None,
    ) -> tuple[bytes, bytes, int]:
        end = None if timeout is None else time.monotonic() + timeout
        start_timeout = _PATIENCE if timeout is None else min(timeout, _PATIENCE)
        tag = process_tag.new_tag()
        line, script = process_tag.framed(command, tag)
        feed = Feed(script, stdin)
        what = f"{self.node}: {words}"
        with self._session(what, start_timeout, timeout, end) as session:
            try:
                if is_cancelled():
                    raise SSHError(f"{what} was called off before it began")
                begin(self.node, session.channel, line, start_timeout)
                # A thread sends it, or a command that writes while it reads would wait for us forever.
                feed.start(session.channel)
                stdout, stderr = collect(session.channel, what, timeout, self._trouble, end=end, sink=sink)
                status = session.channel.recv_exit_status()
                feed.check()
            except BaseException as error:
                # After a timeout, a cancellation or an interrupt the command must not go on unseen.
                self._end(session, tag)
                feed.check()
                if isinstance(error, FameError) or not isinstance(error, Exception):
                    raise
                why = shortened(str(error))
                raise SSHError(f"{self.node} went away during {words}: {why}") from error
        if not 0 <= status <= _MAX_STATUS:
            reason = "no exit status came" if status < 0 else f"its exit status is said to be {status}"
            raise SSHError(f"{self.node} went away during {words}: {reason}")
        return stdout, stderr, status

    def close(self) -> None:
        """Close the connections and end their threads."""
        self._sessions.close()

    @contextlib.contextmanager
    def _session(
        self, what: str, start_timeout: float, timeout: float | None, end: float | None
    ) -> Iterator[Session]:
        with contextlib.ExitStack() as stack:
            try:
                session = stack.enter_context(self._sessions.session(start_timeout, end))
            except BusyError:
                words = "as many commands run there as its SSH server takes at a time; give a longer timeout"
                raise SSHError(f"{what} was not begun within its {timeout:g} s: {words}") from None
            yield session

    def _end(self, session: Session, tag: str) -> None:
        """Kill the processes with a tag in the guest; a guest that does not answer is left alone."""
        if not session.link.is_alive:
            return
        with shielded():
            start = time.monotonic()
            try:
                try:
                    with contextlib.closing(session.link.session(_KILL_TIMEOUT)) as channel:
                        self._finish(channel, tag)
                except Exception:
                    # Its server may take no further session on this connection. A silent one gets no retry.
                    if not session.link.is_alive or time.monotonic() > start + _KILL_TIMEOUT / 2:
                        raise
                    with self._sessions.session(_KILL_TIMEOUT, extra=True) as another:
                        self._finish(another.channel, tag)
            except Exception as error:  # noqa: BLE001 - see above; the first error is raised
                log.debug("%s: what ran may run on: %r", self.node, error)

    def _finish(self, channel: Channel, tag: str) -> None:
        begin(self.node, channel, process_tag.kill_command(tag).encode(), _KILL_TIMEOUT)
        channel.shutdown_write()
        collect(channel, self.node, _KILL_TIMEOUT)


def check_command(command: object) -> None:
    """Raise SpecError if a guest's shell cannot be given this command."""
    if not isinstance(command, str):
        raise SpecError(f"the command is {quoted(command)}", hint="give a string, as for a shell")
    if "\0" in command:
        raise SpecError(f"the command {shortened(command)} holds a null character, which no shell takes")
    try:
        size = len(process_tag.encoded(command))
    except UnicodeEncodeError as error:
        raise SpecError(f"the command {shortened(command)} is no text: {error.reason}") from None
    if size > _MAX_COMMAND:
        raise SpecError(
            f"the command has {size:,} bytes, more than {_MAX_COMMAND:,}",
            hint="put it into the node as a file (node.put), and run that",
        )
