"""What a lab is: a frozen description, every field checked when it is made."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from fame_lab.errors import SpecError
from fame_lab.layout import MAX_NODES, Books, Interleaving, auto_book
from fame_lab.size import KIB, MIB, format_size, nearest_powers, parse_size

__all__ = ["CHOICES", "MIN_FAM", "TCG_FAM_LIMIT", "LabSpec", "is_debian"]

MIN_FAM = MIB
#: What a node comes up with, and what it has by default: the appliance, and anything else. (Debian was up
#: with 128M, at a quarter more processor time than with 160M.)
MIN_MEMORY = 96 * MIB
MIN_DISK_MEMORY = 128 * MIB
AUTO_MEMORY = 128 * MIB
AUTO_DISK_MEMORY = 256 * MIB
MAX_MEMORY = 64 << 30
MAX_VCPUS = 16
#: Largest BAR that QEMU's TCG can place: it has 40 physical address bits, and the BAR lies at an
#: address equal to its size (measured on QEMU 7.2: 512 GiB boots, 1 TiB leaves BAR2 unassigned).
TCG_FAM_LIMIT = 512 << 30

Accel = Literal["auto", "kvm", "tcg"]

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,30}[A-Za-z0-9])?", re.ASCII)

#: Debian images: the usual one, and those with further packages.
_DEBIAN = re.compile(r"debian(-[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?)?", re.ASCII)

#: What a field can be, for those that are one of a few; an image can be more.
CHOICES: dict[str, tuple[str | bool, ...]] = {
    "accel": get_args(Accel),
    "image": ("appliance", "debian"),
    "network": ("user",),
    "start": ("auto", "cold"),
    "trace": (False, True),
    "layout": get_args(Interleaving),
}


@dataclass(frozen=True)
class LabSpec:
    """A set of nodes around one FAM.

    Parameters
    ----------
    name : str
        1 to 32 letters, digits, ``-`` and ``_``, beginning and ending with a letter or digit.
    nodes : int
        1 to 40.
    fam : int or str
        Bytes of FAM: a power of two, at least 1 MiB. ``"256M"`` is read; bytes are kept.
    accel : {"auto", "kvm", "tcg"}
        ``auto`` takes KVM where a functional check shows that it works.
    image : str or Path
        What the nodes boot: ``"appliance"``, a small initramfs; ``"debian"``, a whole Debian on a disk, or
        one with further packages by the name that ``fame-lab image build`` gave it, as ``"debian-gcc"``; or
        your own by its path, with a ``/`` in it: a qcow2 file with cloud-init, or a directory with
        ``kernel`` and ``initrd``.
    network : {"user"}
        User-mode networking: SSH alone, on loopback.
    start : {"auto", "cold"}
        How nodes come up.
    trace : bool
        Whether each access to FAM can be counted: see :meth:`fame_lab.Lab.record`. It takes TCG.
    layout : {"contiguous", "interleaved"}
        Which books are at home on which node.
    book : int or str
        Bytes of a book, a power of two; ``"auto"`` is 8 MiB, or the largest smaller power of two that
        gives every node one.
    vcpus : int
        Virtual CPUs of a node, 1 to 16.
    memory : int or str
        Bytes of a node's own memory, at least 96 MiB, from a disk 128 MiB; ``"auto"`` is 128 MiB, from a disk
        256 MiB.
    fam_path : str or Path, optional
        Where FAM lies. An existing file is used as it is and never deleted; by default the lab makes
        one in a private directory of /dev/shm, which goes with the lab.

    Raises
    ------
    SpecError
        If a field cannot be right; the message gives the value and the nearest one that works.

    Examples
    --------
    >>> spec = LabSpec(name="demo", nodes=2, fam="256M")
    >>> spec.fam, str(spec.books)
    (268435456, '32 books of 8M, contiguous over 2 nodes')
    """

    name: str
    nodes: int = 2
    fam: int | str = 256 * MIB
    accel: Accel = "auto"
    image: str | Path = "appliance"
    network: str = "user"
    start: str = "auto"
    trace: bool = False
    layout: Interleaving = "contiguous"
    book: int | str = "auto"
    vcpus: int = 1
    memory: int | str = "auto"
    fam_path: Path | None = None

    def __post_init__(self) -> None:
        with _blamed("name"):
            _check_name(self.name)
        with _blamed("nodes"):
            _check_count("nodes", self.nodes, MAX_NODES)
        with _blamed("vcpus"):
            _check_count("vcpus", self.vcpus, MAX_VCPUS)
        for field, choices in CHOICES.items():
            with _blamed(field):
                if field == "image":
                    self._keep("image", _check_image(self.image))
                else:
                    _check_choice(field, getattr(self, field), choices)
        if self.trace and self.accel == "kvm":
            with _blamed("trace"):
                raise SpecError(
                    "trace is True and accel 'kvm': only TCG can count accesses; give accel='tcg'"
                )
        with _blamed("fam"):
            self._keep("fam", _check_fam(parse_size(self.fam, "fam"), self.accel))
        with _blamed("memory"):
            self._keep("memory", _check_memory(self.memory, str(self.image)))
        with _blamed("book"):
            self._keep("book", _check_book(self.book, self.fam_size, self.nodes))
        if self.fam_path is not None:
            with _blamed("fam_path"):
                self._keep("fam_path", _check_path(self.fam_path))

    def _keep(self, field: str, value: object) -> None:
        object.__setattr__(self, field, value)  # the way that dataclasses leave to a frozen __post_init__

    @property
    def fam_size(self) -> int:
        """Bytes of FAM."""
        return int(self.fam)

    @property
    def memory_size(self) -> int:
        """Bytes of a node's own memory."""
        return int(self.memory)

    @property
    def books(self) -> Books:
        """The books of FAM and their homes."""
        return Books(self.fam_size, int(self.book), self.nodes, self.layout)

    @property
    def node_names(self) -> tuple[str, ...]:
        """``node01`` to the last."""
        return tuple(f"node{number:02d}" for number in range(1, self.nodes + 1))

    def _repr_html_(self) -> str:
        from fame_lab.lab_html import spec_html  # which speaks of specs

        return spec_html(self)

    def to_dict(self) -> dict[str, Any]:
        """Give the fields as plain values, sizes in bytes."""
        return asdict(self) | {"fam_path": None if self.fam_path is None else str(self.fam_path)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> LabSpec:
        """Read what :meth:`to_dict` gave.

        Raises
        ------
        SpecError
            If a field is unknown, missing or wrong.
        """
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise SpecError(f"unknown fields {', '.join(map(repr, unknown))}: a LabSpec has {sorted(known)}")
        if "name" not in values:
            raise SpecError("a LabSpec needs a name")
        return cls(**values)

    def to_json(self) -> str:
        """Give the fields as JSON on one line."""
        return json.dumps(self.to_dict())

    def __str__(self) -> str:
        where = f" at {self.fam_path}" if self.fam_path else ""
        plural = "" if self.nodes == 1 else "s"
        return f"{self.name}: {self.nodes} node{plural} around {format_size(self.fam_size)} of FAM{where}"


@contextlib.contextmanager
def _blamed(field: str) -> Iterator[None]:
    """Let an error say which field it is about, for a form that shows it there."""
    try:
        yield
    except SpecError as error:
        error.field = field
        raise


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SpecError(
            f"name is {name!r}: give 1 to 32 letters (A to Z, a to z), digits, - and _, "
            "beginning and ending with a letter or digit"
        )


def _check_count(field: str, value: object, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise SpecError(f"{field} is {value!r}: give a whole number from 1 to {most}")


def _check_choice(field: str, value: object, choices: tuple[object, ...]) -> None:
    if not any(value is choice or (isinstance(value, str) and value == choice) for choice in choices):
        allowed = " or ".join(map(repr, choices))
        raise SpecError(f"{field} is {value!r}: this version takes {allowed}")


def _check_fam(size: int, accel: str) -> int:
    if size < MIN_FAM:
        raise SpecError(f"fam is {size} bytes: the smallest that works is 1M ({MIN_FAM} bytes)")
    below, above = nearest_powers(size)
    if below != above:
        raise SpecError(
            f"fam is {format_size(size)} ({size} bytes): a PCI BAR is a power of two; "
            f"the nearest that work are {format_size(below)} and {format_size(above)}"
        )
    if accel == "tcg" and size > TCG_FAM_LIMIT:
        raise SpecError(
            f"fam is {format_size(size)}: TCG has 40 physical address bits; "
            f"the largest FAM that it can address is {format_size(TCG_FAM_LIMIT)}"
        )
    if size > 1 << 51:
        raise SpecError(f"fam is {format_size(size)}: no x86-64 processor can address more than 2048T")
    return size


def is_debian(image: str) -> bool:
    """Say whether an image's name is one of a Debian that :mod:`fame_lab.guest.disk_image` makes."""
    return _DEBIAN.fullmatch(image) is not None


def _check_image(image: object) -> str:
    if isinstance(image, (str, Path)):
        text = str(image)
        if text == "appliance" or is_debian(text):
            return text
        if isinstance(image, Path) or "/" in text:
            return str(_check_path(image, "image"))
    raise SpecError(
        f"image is {image!r}: it takes 'appliance', 'debian', the name 'debian-...' of one that `fame-lab "
        "image build` made, or the path of your own, with a / in it"
    )


def _check_memory(memory: int | str, image: str) -> int:
    small = image == "appliance"
    if memory == "auto":
        return AUTO_MEMORY if small else AUTO_DISK_MEMORY
    size, least = parse_size(memory, "memory"), MIN_MEMORY if small else MIN_DISK_MEMORY
    if not least <= size <= MAX_MEMORY or size % MIB:
        raise SpecError(
            f"memory is {format_size(size)} ({size} bytes): give whole MiB from {format_size(least)} "
            f"(with less, image {image!r} does not come up) to {format_size(MAX_MEMORY)}"
        )
    return size


def _check_book(book: int | str, fam_size: int, nodes: int) -> int:
    fitting = auto_book(fam_size, nodes)
    if book == "auto":
        return fitting
    size = parse_size(book, "book")
    if size < 4 * KIB or size & (size - 1):
        raise SpecError(
            f"book is {format_size(size)} ({size} bytes): give a power of two from 4K; "
            f"{format_size(fitting)} fits"
        )
    if fam_size // size < nodes:
        raise SpecError(
            f"book is {format_size(size)}: {format_size(fam_size)} of FAM has {fam_size // size} such books, "
            f"fewer than nodes ({nodes}); a book of {format_size(fitting)} fits"
        )
    return size


def _check_path(path: object, field: str = "fam_path") -> Path:
    if not isinstance(path, (str, Path)) or not str(path):
        raise SpecError(f"{field} is {path!r}: give the path of a file")
    text = str(path)
    # QEMU reads its options as comma-separated text, and a control character has no place in either.
    if any(character in text for character in ",\0") or not text.isprintable():
        raise SpecError(f"{field} is {text!r}: a comma or an unprintable character cannot be given to QEMU")
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as error:  # whose home it names nobody knows
        raise SpecError(f"{field} is {text!r}: {error}; give the path as it is") from error
