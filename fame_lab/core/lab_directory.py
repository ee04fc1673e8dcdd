"""One private directory a lab, in memory, for what goes with it: keys, consoles, counters, its owner."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fame_lab.core.locking import open_locked, same_file
from fame_lab.errors import HostError, LabError

__all__ = ["LAB_BYTES", "SHM", "LabDirectory", "start_lock"]

SHM = Path("/dev/shm")  # noqa: S108 - a directory of our own in it, made exclusively, is what is used
#: Bytes that a lab keeps there beside FAM: keys, consoles, files for nodes that start.
LAB_BYTES = 32 << 20


@dataclass(frozen=True)
class LabDirectory:
    """The files of one running lab, which end with it: FAM (by default), keys, initrd, consoles.

    Its path follows from the lab's name. So creating it is the lock on the name, and a lab can be attached to
    with nothing but the name. Root owns it and QEMU's user may only pass through: a guest that breaks out
    into its QEMU cannot put a link where the host will write.
    """

    path: Path

    @classmethod
    def of(cls, name: str) -> LabDirectory:
        """Return the directory that the lab `name` of this user has, or would have."""
        return cls(SHM / f"fame_lab-{os.geteuid()}-{name}")

    @classmethod
    def all(cls) -> list[LabDirectory]:
        """List the directories of this user's labs, running or left behind."""
        prefix = f"fame_lab-{os.geteuid()}-"
        return [directory for path in sorted(SHM.glob(f"{prefix}*")) if (directory := cls(path)).is_ours()]

    @property
    def name(self) -> str:
        """The lab's name."""
        return self.path.name.split("-", 2)[2]

    @property
    def fam(self) -> Path:
        """FAM, unless the user chose another path."""
        return self.path / "fam"

    @property
    def key(self) -> Path:
        """The private key that logs in to the nodes."""
        return self.path / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """The public keys that the nodes show, each under its node's name."""
        return self.path / "known_hosts"

    @property
    def record(self) -> Path:
        """The first node's metadata, which tells the lab of FAM when no domain is left."""
        return self.path / "record.xml"

    @property
    def owner(self) -> Path:
        """The lock of the owner; missing if the lab is detached. See :mod:`fame_lab.lab.ownership`."""
        return self.path / "owner"

    @property
    def saved_control_area(self) -> Path:
        """The former content of an existing FAM file where the control area is."""
        return self.path / "control-area.saved"

    @property
    def saved_acl(self) -> Path:
        """The access list of an existing FAM file, before QEMU's user was granted access."""
        return self.path / "fam.acl"

    @property
    def switch(self) -> Path:
        """The sockets of the switch between the nodes, if there is one."""
        return self.path / "switch"

    def host_key(self, node: str) -> Path:
        """Return the file of the private key that the node shows, kept for its next boot."""
        return self.path / f"{node}.host_key"

    def seed(self, node: str) -> Path:
        """Return the file of the small disk that has a node's name and keys."""
        return self.path / f"{node}.seed"

    @property
    def disks(self) -> Path:
        """A link to the lab's directory on disk; see :mod:`fame_lab.guest.images.overlay`."""
        return self.path / "disks"

    def initrd(self, node: str) -> Path:
        """Return the file of a user's initramfs with the node's keys in it."""
        return self.path / f"{node}.initrd"

    def console(self, node: str) -> Path:
        """Return the file of the node's output on its serial line."""
        return self.path / f"{node}.console"

    def counters(self, node: str) -> Path:
        """Return the file in which the node's QEMU counts its accesses to FAM."""
        return self.path / f"{node}.counters"

    def order(self, node: str) -> Path:
        """Return the file through which the node's accesses come in their order."""
        return self.path / f"{node}.order"

    @property
    def lines(self) -> Path:
        """The line directory, in which all nodes' QEMUs keep who holds which line of FAM."""
        return self.path / "lines"

    def make(self, group: int | None) -> None:
        """Create the directory; `group`, QEMU's, may pass through it.

        Raises
        ------
        LabError
            If it exists already: a lab of that name runs, or one was killed and left it.
        HostError
            If it cannot be made.
        """
        try:
            self.path.mkdir(mode=0o700)
            if group is not None:
                os.chown(self.path, -1, group)
                self.path.chmod(0o710)
        except FileExistsError:
            if not self.is_ours():
                raise LabError(
                    f"{self.path} is there and is another user's, or a link: it is left alone",
                    hint="choose another name for the lab",
                ) from None
            raise LabError(
                f"a lab named {self.name!r} exists or starts, or was killed and left {self.path}",
                hint=f"`fame-lab ls` shows which; choose another name, or `fame-lab down {self.name}`",
            ) from None
        except OSError as error:
            raise HostError(f"cannot make the lab's directory {self.path}: {error.strerror}") from error

    def is_ours(self) -> bool:
        """Return whether it exists, is this user's, and no link."""
        try:
            status = self.path.lstat()
        except FileNotFoundError:
            return False
        return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()

    @contextlib.contextmanager
    def create_locked(self, group: int | None) -> Iterator[None]:
        """Create the directory (see :meth:`make`), locked from its first moment on.

        Nobody sees it unlocked: it would be taken for an orphan's.

        Raises
        ------
        LabError
            See :meth:`make`; or if it was removed all the same.
        """
        with contextlib.ExitStack() as stack:
            with start_lock():
                self.make(group)
                if not stack.enter_context(self.locked()):
                    raise LabError(
                        f"{self.path} was taken away while {self.name!r} started", hint="start it again"
                    )
            yield

    @contextlib.contextmanager
    def locked(self, *, shared: bool = False, wait: bool = True) -> Iterator[bool]:
        """Lock the directory, and yield whether it is locked and still the lab's.

        With `wait` it waits for another holder, so that a start under way is never taken for an orphan. The
        directory is not the lab's if it was removed meanwhile.

        Parameters
        ----------
        shared, wait : bool
            See :func:`fame_lab.core.locking.lock`.
        """
        with contextlib.ExitStack() as stack:
            descriptor = None
            with contextlib.suppress(OSError):
                lock = open_locked(self.path, os.O_RDONLY | os.O_DIRECTORY, shared=shared, wait=wait)
                descriptor = stack.enter_context(lock)
            # Between the opening and the lock another may have been created in its place.
            yield descriptor is not None and same_file(descriptor, self.path)

    def is_held(self) -> bool:
        """Return whether a process, this one or another, is starting this lab or taking it down."""
        with start_lock(), self.locked(shared=True, wait=False) as is_free:
            return not is_free and self.is_ours()

    def write(self, path: Path, content: bytes, owner: tuple[int, int] | None = None) -> None:
        """Write a file of mode 0600 in the directory, for `owner` (uid, gid) if given.

        Raises
        ------
        HostError
            If there is no room, or the file exists already.
        """
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                if owner is not None:
                    os.fchown(file.fileno(), *owner)
        except OSError as error:
            raise HostError(
                f"cannot write {path} ({len(content)} bytes): {error.strerror}",
                hint="`fame-lab doctor` shows the room",
            ) from error

    @contextlib.contextmanager
    def staged_files(
        self, node: str, content: Mapping[str, bytes], owner: tuple[int, int] | None
    ) -> Iterator[dict[str, Path]]:
        """Write a node's own data to files that QEMU reads as it starts; remove them at the block's end.

        Parameters
        ----------
        node : str
        content : mapping of str to bytes
        owner : tuple of int, optional
            User and group ids of QEMU's user.

        Raises
        ------
        HostError
            See :meth:`write`.
        """
        files = {name: self.path / f"{node}.own.{name}" for name in content}
        try:
            for name, path in files.items():
                path.unlink(missing_ok=True)  # of an earlier life, cut short
                self.write(path, content[name], owner)
            yield files
        finally:
            for path in files.values():
                path.unlink(missing_ok=True)

    def grant_to_qemu(self, path: Path, mode: int = 0o660) -> None:
        """Grant QEMU's group the use of a file; the mode of this directory keeps all others out."""
        os.chown(path, -1, self.path.stat().st_gid)
        path.chmod(mode)

    def remove(self) -> None:
        """Delete the directory with its files, and the nodes' disks; nothing if it is gone."""
        with contextlib.suppress(OSError):
            shutil.rmtree(self.disks.readlink(), ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.path)


@contextlib.contextmanager
def start_lock() -> Iterator[None]:
    """Lock out this user's other starts while one makes its directory; it takes an instant."""
    # The file is our own, beside our labs: another user who could open it could lock it for ever. It is not
    # in the cache, which a user may only be able to read.
    path = SHM / f"fame_lab-{os.geteuid()}.begin"
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(open_locked(path, os.O_RDWR | os.O_CREAT))
        except OSError as error:
            raise HostError(f"cannot open {path}: {error.strerror}; is it another user's?") from error
        yield
