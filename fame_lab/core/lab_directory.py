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
#: What a lab keeps there beside FAM: keys, consoles, what is handed over to nodes that start.
LAB_BYTES = 32 << 20


@dataclass(frozen=True)
class LabDirectory:
    """What belongs to one running lab and goes with it: FAM (by default), keys, initrd, consoles.

    Its path follows from the lab's name, so that making it is the lock on the name, and a lab can be
    attached to with nothing but the name. Root owns it and QEMU's user may only pass through, so that a
    guest which breaks out into its QEMU cannot put a link where the host will write.

    Parameters
    ----------
    path : Path
    """

    path: Path

    @classmethod
    def of(cls, name: str) -> LabDirectory:
        """Return the directory that the lab `name` of this user has, or would have."""
        return cls(SHM / f"fame_lab-{os.geteuid()}-{name}")

    @classmethod
    def all(cls) -> list[LabDirectory]:
        """Find the directories of this user's labs, running or left behind."""
        prefix = f"fame_lab-{os.geteuid()}-"
        return [made for path in sorted(SHM.glob(f"{prefix}*")) if (made := cls(path)).is_ours()]

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
        """The private key that the nodes let in."""
        return self.path / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """The public keys that the nodes show, each under its node's name."""
        return self.path / "known_hosts"

    @property
    def record(self) -> Path:
        """The first node's metadata, for the case that no domain is left to tell whose FAM it was."""
        return self.path / "record.xml"

    @property
    def owner(self) -> Path:
        """Held by whoever uses the lab; not there if it is nobody's. See :mod:`fame_lab.lab.ownership`."""
        return self.path / "owner"

    @property
    def saved_control_area(self) -> Path:
        """What an existing FAM file held where the control area is."""
        return self.path / "control-area.saved"

    @property
    def saved_acl(self) -> Path:
        """The access list of an existing FAM file, before QEMU's user was let in."""
        return self.path / "fam.acl"

    @property
    def switch(self) -> Path:
        """The sockets of the switch at which the nodes meet, if they do at one."""
        return self.path / "switch"

    def host_key(self, node: str) -> Path:
        """Return the file of the private key that the node shows, kept for when it boots anew."""
        return self.path / f"{node}.host_key"

    def seed(self, node: str) -> Path:
        """Return the file of the small disk that tells a node who it is."""
        return self.path / f"{node}.seed"

    @property
    def disks(self) -> Path:
        """A link to what the lab has on disk; see :mod:`fame_lab.guest.images.overlay`."""
        return self.path / "disks"

    def initrd(self, node: str) -> Path:
        """Return the file of a user's initramfs with the node's keys in it."""
        return self.path / f"{node}.initrd"

    def console(self, node: str) -> Path:
        """Return the file of what the node wrote on its serial line."""
        return self.path / f"{node}.console"

    def counters(self, node: str) -> Path:
        """Return the file in which the node's QEMU counts its accesses to FAM."""
        return self.path / f"{node}.counters"

    def order(self, node: str) -> Path:
        """Return the file through which the node's accesses come in their order."""
        return self.path / f"{node}.order"

    def make(self, group: int | None) -> None:
        """Create the directory; `group`, QEMU's, may pass through it.

        Raises
        ------
        LabError
            If it is there already: a lab of that name runs, or one was killed and left it.
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
                f"a lab named {self.name!r} exists, or was killed and left {self.path}",
                hint=f"choose another name, Lab.attach({self.name!r}), or `fame-lab down {self.name}`",
            ) from None
        except OSError as error:
            raise HostError(f"cannot make the lab's directory {self.path}: {error.strerror}") from error

    def is_ours(self) -> bool:
        """Return whether it is there and this user's, and no link."""
        try:
            there = self.path.lstat()
        except FileNotFoundError:
            return False
        return stat.S_ISDIR(there.st_mode) and there.st_uid == os.geteuid()

    @contextlib.contextmanager
    def create_locked(self, group: int | None) -> Iterator[None]:
        """Make the directory, see :meth:`make`, and hold it from its first moment on, as a start does.

        Nobody sees it there and not held, which would be an orphan's.

        Raises
        ------
        LabError
            As of :meth:`make`; or if it was taken away all the same.
        """
        with contextlib.ExitStack() as holding:
            with start_lock():
                self.make(group)
                descriptor = holding.enter_context(self._locked())
                if descriptor is None or not same_file(descriptor, self.path):
                    raise LabError(
                        f"{self.path} was taken away while {self.name!r} started", hint="start it again"
                    )
            yield

    @contextlib.contextmanager
    def locked(self) -> Iterator[bool]:
        """Hold the directory while what it belongs to is taken away; yield whether it is ours.

        Waits for whoever has it, such as a start under way, which is never taken for an orphan so; not ours
        if it was taken away meanwhile.
        """
        with self._locked() as descriptor:
            # Between the opening and the lock another may have been made in its place.
            yield descriptor is not None and same_file(descriptor, self.path)

    def is_held(self) -> bool:
        """Return whether somebody, in this process or another, is starting this lab or taking it away."""
        with start_lock(), self._locked(shared=True, wait=False) as descriptor:
            return descriptor is None and self.is_ours()

    @contextlib.contextmanager
    def _locked(self, *, shared: bool = False, wait: bool = True) -> Iterator[int | None]:
        with contextlib.ExitStack() as holding:
            descriptor = None
            with contextlib.suppress(OSError):
                held = open_locked(self.path, os.O_RDONLY | os.O_DIRECTORY, shared=shared, wait=wait)
                descriptor = holding.enter_context(held)
            yield descriptor

    def write(self, path: Path, content: bytes, owner: tuple[int, int] | None = None) -> None:
        """Write a file of mode 0600 in the directory, for `owner` (uid, gid) if given.

        Raises
        ------
        HostError
            If there is no room, or the file is there already.
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
        """Put what is a node's own into files for QEMU to read as it starts; gone at the block's end.

        Parameters
        ----------
        node : str
        content : mapping of str to bytes
        owner : tuple of int, optional
            User and group ids of QEMU's user.

        Raises
        ------
        HostError
            As of :meth:`write`.
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
        """Grant QEMU's group the use of a file; a directory of this one's mode keeps all others out."""
        os.chown(path, -1, self.path.stat().st_gid)
        path.chmod(mode)

    def remove(self) -> None:
        """Delete the directory and what is in it, and the nodes' disks; nothing if it is gone."""
        with contextlib.suppress(OSError):
            shutil.rmtree(self.disks.readlink(), ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.path)


@contextlib.contextmanager
def start_lock() -> Iterator[None]:
    """Keep this user's starts from making their directories meanwhile; it takes an instant."""
    # A file of our own, beside our labs: whoever can open what is held could hold it, and us, for ever. Not
    # in the cache, which may be one that a user can only read.
    path = SHM / f"fame_lab-{os.geteuid()}.begin"
    with contextlib.ExitStack() as holding:
        try:
            holding.enter_context(open_locked(path, os.O_RDWR | os.O_CREAT))
        except OSError as error:
            raise HostError(f"cannot open {path}: {error.strerror}; is it another user's?") from error
        yield
