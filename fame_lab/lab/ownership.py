"""The owner of a lab: told by a lock that the kernel releases with its process, however that ends.

A lab belongs to the process that started it until that lets go of it on purpose: its directory has a file
that says so, and whoever uses the lab holds it. A file that nobody holds is an owner's who has died.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import weakref
from collections.abc import Iterator
from typing import Literal

from fame_lab.core.lab_directory import LabDirectory, start_lock
from fame_lab.core.locking import lock, open_locked, same_file
from fame_lab.errors import LabError

__all__ = ["OwnerState", "Ownership", "locked_state", "mark_orphaned", "owner_state"]

log = logging.getLogger(__name__)

#: Of somebody who lives; of somebody who has died, and nobody uses it; or left to run on purpose.
OwnerState = Literal["owned", "orphaned", "detached"]

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class Ownership:
    """A process's hold on a lab, by :meth:`acquire` or :meth:`share`.

    Parameters
    ----------
    directory : LabDirectory
    descriptor : int, optional
        Of the file that is held; None of a detached lab.
    owner : int, optional
        The process that started the lab, if that is this one.
    """

    def __init__(self, directory: LabDirectory, descriptor: int | None, owner: int | None = None) -> None:
        self._directory = directory
        self._owner = owner
        self._inode = _inode(directory)
        self._close = (lambda: None) if descriptor is None else weakref.finalize(self, os.close, descriptor)

    @classmethod
    def acquire(cls, directory: LabDirectory) -> Ownership:
        """Own a lab that this process starts. A process that ends normally detaches it."""
        directory.write(directory.owner, b"")
        ownership = cls._session(directory, os.getpid())
        # A killed process does not come here: its lab stays an orphan, which a clean-up finds.
        atexit.register(ownership._detach_at_exit)
        return ownership

    @classmethod
    def share(cls, directory: LabDirectory) -> Ownership:
        """Share the use of a lab with its owner. A tear-down that is under way is waited for.

        Raises
        ------
        LabError
            If it was taken away meanwhile.
        """
        ownership = cls._session(directory)
        if not directory.path.exists():
            ownership.release()
            raise LabError(
                f"the lab {directory.name!r} is gone", hint="`fame-lab down --orphans` ends what is left"
            )
        return ownership

    @classmethod
    def _session(cls, directory: LabDirectory, owner: int | None = None) -> Ownership:
        try:
            descriptor = os.open(directory.owner, _FLAGS)
        except FileNotFoundError:
            return cls(directory, None)
        ownership = cls(directory, descriptor, owner)
        lock(descriptor, shared=True)
        return ownership

    def release(self) -> None:
        """Stop using the lab; its owner stays the same. Safe to repeat."""
        atexit.unregister(self._detach_at_exit)
        self._close()

    def detach(self) -> None:
        """Release the lab. If this process owns it, it becomes detached, and no orphan later."""
        if self._owner == os.getpid() and self.is_current:  # and not a fork of it
            self._directory.owner.unlink(missing_ok=True)
        self.release()

    def _detach_at_exit(self) -> None:
        # Not of one that somebody else has ended meanwhile.
        if self._owner == os.getpid() and self._directory.path.exists() and self.is_current:
            name = self._directory.name
            log.warning("the lab %r runs on without this program; to end it: fame-lab down %s", name, name)
        self.detach()

    @property
    def is_current(self) -> bool:
        """Whether no other lab of that name has come in this one's place."""
        return _inode(self._directory) in (self._inode, None)


def _inode(directory: LabDirectory) -> int | None:
    try:
        return directory.path.stat().st_ino
    except FileNotFoundError:
        return None


def mark_orphaned(directory: LabDirectory) -> None:
    """Mark a lab an orphan if this process dies while it takes it away."""
    if directory.is_ours():
        directory.owner.touch(mode=0o600)


@contextlib.contextmanager
def locked_state(directory: LabDirectory) -> Iterator[OwnerState]:
    """Return the state of a lab's owner; nobody can take up an orphan meanwhile."""
    with contextlib.ExitStack() as stack:
        with start_lock():  # a check alone must not look like a user
            state = stack.enter_context(_probed_state(directory))
        yield state


def owner_state(directory: LabDirectory) -> OwnerState:
    """Return the state of a lab's owner."""
    with start_lock(), _probed_state(directory) as state:
        return state


@contextlib.contextmanager
def _probed_state(directory: LabDirectory) -> Iterator[OwnerState]:
    with contextlib.ExitStack() as stack:
        try:
            descriptor = stack.enter_context(open_locked(directory.owner, wait=False))
        except FileNotFoundError:
            # Without its directory, where its keys are, nobody can use it.
            yield "detached" if directory.path.exists() else "orphaned"
            return
        if descriptor is None:
            yield "owned"
        else:
            yield "orphaned" if same_file(descriptor, directory.owner) else "detached"
