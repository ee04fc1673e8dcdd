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

#: Seconds in which a guest must begin what it is asked for.
_PATIENCE = 30.0
#: Seconds that a guest has for ending a command.
_KILL_TIMEOUT = 5.0
#: A process cannot end with a larger one, and a shell shows the rest of a division by 256.
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
        Returns the port of 127.0.0.1 that leads to the node; asked at each new connection.
    keys : LabKeys
    trouble : callable
        Says what is seen to stop the node, for messages and for who waits without a limit; see
        :mod:`fame_lab.host.fam_trouble`.
    """

    def __init__(
        self, node: str, port: Callable[[], int], keys: LabKeys, trouble: Callable[[], str] = lambda: ""
    ) -> None:
        self.node = node
        self._port = port
        self._keys = keys
        self._trouble = trouble
        self._sessions = Sessions(node, self._link)

    def _link(self, left: float) -> Link:
        return Link.to(self.node, self._port(), self._keys, left=left, patience=_PATIENCE)

    def open(self, deadline: float = 30.0, *, settled: bool = True) -> None:
        """Connect unless connected; tried again until `deadline` seconds have gone.

        Parameters
        ----------
        deadline : float
        settled : bool
            Whether the node has its keys by now. If not, one that shows another or does not let ours in is
            tried again: its SSH server may be up before who it is.

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
        """Run a command by the guest's shell, once. It has a mark in its environment, FAME_LAB_COMMAND.

        As many commands run at a time as the node's SSH server takes; more wait until one of them has ended.

        Parameters
        ----------
        command : str
            Of up to 8 MiB. A longer one than an SSH server takes is sent before its standard input.
        check : bool
            Whether a status other than 0 raises.
        timeout : float, optional
            Seconds after which it is given up, counted from the call: the wait for other commands is part of
            them. By default it may take as long as it likes.
        stdin : bytes

        Raises
        ------
        SpecError
            If the command is no text, is too long or holds a null character.
        CommandError
            If its status is not 0 and `check` holds.
        SSHError
            If the node does not answer, goes away before the status, says more than 64 MiB, or takes
            longer than `timeout`; or if it is called off, see :mod:`fame_lab.core.jobs.cancellation`. Without
            a `timeout`, too, if it says nothing for a minute and the node may hang, as FAM was truncated or
            has no room.
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
        self,
        command: str,
        *,
        timeout: float | None = None,
        stdin: bytes | Iterable[bytes] = b"",
        take: Sink | None = None,
        words: str = "",
    ) -> tuple[bytes, bytes, int]:
        """Run a command as :meth:`run` does, and return both streams as they came, and the status.

        Parameters
        ----------
        command, timeout
            As there.
        stdin : bytes or iterable of bytes
            What an iterable raises ends the command, and is raised here.
        take : callable, optional
            Takes the pieces of standard output as they come. They are not kept then, and may be any number.
        words : str
            What a message calls the command; by default its beginning.
        """
        check_command(command)
        timeout = None if timeout is None else check_seconds("timeout", timeout)
        try:
            return self._execute(command, words or shortened(command), timeout, stdin, take)
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
        take: Sink | None,
    ) -> tuple[bytes, bytes, int]:
        end = None if timeout is None else time.monotonic() + timeout
        patience = _PATIENCE if timeout is None else min(timeout, _PATIENCE)
        its = process_tag.new_tag()
        line, script = process_tag.framed(command, its)
        feed = Feed(script, stdin)
        what = f"{self.node}: {words}"
        with self._session(what, patience, timeout, end) as session:
            try:
                if is_cancelled():
                    raise SSHError(f"{what} was called off before it began")
                begin(self.node, session.channel, line, patience)
                # Sent from aside, or a command that writes while it reads would wait for us forever.
                feed.start(session.channel)
                stdout, stderr = collect(session.channel, what, timeout, self._trouble, end=end, take=take)
                status = session.channel.recv_exit_status()
                feed.check()
            except BaseException as error:
                # Given up, called off or interrupted: it is not to go on unseen.
                self._end(session, its)
                feed.check()
                if isinstance(error, FameError) or not isinstance(error, Exception):
                    raise
                why = shortened(str(error))
                raise SSHError(f"{self.node} went away during {words}: {why}") from error
        if not 0 <= status <= _MAX_STATUS:
            said = "no exit status came" if status < 0 else f"its exit status is said to be {status}"
            raise SSHError(f"{self.node} went away during {words}: {said}")
        return stdout, stderr, status

    def close(self) -> None:
        """End the connections and their threads."""
        self._sessions.close()

    @contextlib.contextmanager
    def _session(
        self, what: str, patience: float, timeout: float | None, end: float | None
    ) -> Iterator[Session]:
        with contextlib.ExitStack() as stack:
            try:
                session = stack.enter_context(self._sessions.session(patience, end))
            except BusyError:
                words = "as many commands run there as its SSH server takes at a time; give a longer timeout"
                raise SSHError(f"{what} was not begun within its {timeout:g} s: {words}") from None
            yield session

    def _end(self, session: Session, its: str) -> None:
        """End what was marked in the guest; one that does not answer is left alone."""
        if not session.link.is_alive:
            return
        with shielded():
            began = time.monotonic()
            try:
                try:
                    with contextlib.closing(session.link.session(_KILL_TIMEOUT)) as channel:
                        self._finish(channel, its)
                except Exception:
                    # Its server may take no further session on this connection. If it is silent, that is all.
                    if not session.link.is_alive or time.monotonic() > began + _KILL_TIMEOUT / 2:
                        raise
                    with self._sessions.session(_KILL_TIMEOUT, extra=True) as another:
                        self._finish(another.channel, its)
            except Exception as error:  # noqa: BLE001 - as above; what led here is raised
                log.debug("%s: what ran may run on: %r", self.node, error)

    def _finish(self, channel: Channel, its: str) -> None:
        begin(self.node, channel, process_tag.kill_command(its).encode(), _KILL_TIMEOUT)
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
