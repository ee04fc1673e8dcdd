"""What each field of a spec can be, and what is said of one that it cannot."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

from fame_lab.errors import SpecError
from fame_lab.layout import Interleaving, auto_book
from fame_lab.size import KIB, MIB, format_size, nearest_powers, parse_size

__all__ = [
    "CHOICES",
    "MAX_VCPUS",
    "MIN_FAM",
    "TCG_FAM_LIMIT",
    "Accel",
    "blamed",
    "check_book",
    "check_choice",
    "check_count",
    "check_fam",
    "check_memory",
    "check_name",
    "check_path",
]

MIN_FAM = MIB
MIN_MEMORY = 96 * MIB
MAX_MEMORY = 64 << 30
MAX_VCPUS = 16
#: Largest BAR that QEMU's TCG can place: it has 40 physical address bits, and the BAR lies at an
#: address equal to its size (measured on QEMU 7.2: 512 GiB boots, 1 TiB leaves BAR2 unassigned).
TCG_FAM_LIMIT = 512 << 30

Accel = Literal["auto", "kvm", "tcg"]

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,30}[A-Za-z0-9])?", re.ASCII)

#: What a field can be, for those that are one of a few.
CHOICES: dict[str, tuple[str | bool, ...]] = {
    "accel": get_args(Accel),
    "image": ("appliance",),
    "network": ("user", "libvirt"),
    "start": ("auto", "cold"),
    "trace": (False, True),
    "layout": get_args(Interleaving),
}


@contextlib.contextmanager
def blamed(field: str) -> Iterator[None]:
    """Let an error say which field it is about, for a form that shows it there."""
    try:
        yield
    except SpecError as error:
        error.field = field
        raise


def check_name(name: object) -> None:
    """Raise SpecError unless it names a lab, and can stand in a path."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SpecError(
            f"name is {name!r}: give 1 to 32 letters (A to Z, a to z), digits, - and _, "
            "beginning and ending with a letter or digit"
        )


def check_count(field: str, value: object, most: int) -> None:
    """Raise SpecError unless it is a whole number from 1 to `most`."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise SpecError(f"{field} is {value!r}: give a whole number from 1 to {most}")


def check_choice(field: str, value: object, choices: tuple[object, ...]) -> None:
    """Raise SpecError unless it is one of the choices."""
    if not any(value is choice or (isinstance(value, str) and value == choice) for choice in choices):
        allowed = " or ".join(map(repr, choices))
        raise SpecError(f"{field} is {value!r}: this version takes {allowed}")


def check_fam(size: int, accel: str) -> int:
    """Give the bytes of FAM back; raise SpecError if no BAR can have so many."""
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


def check_memory(size: int) -> int:
    """Give the bytes of a node's memory back; raise SpecError if none boots with so many."""
    if not MIN_MEMORY <= size <= MAX_MEMORY or size % MIB:
        raise SpecError(
            f"memory is {format_size(size)} ({size} bytes): give whole MiB from {format_size(MIN_MEMORY)} "
            f"(with less, the appliance does not come up) to {format_size(MAX_MEMORY)}"
        )
    return size


def check_book(book: int | str, fam_size: int, nodes: int) -> int:
    """Give the bytes of a book, chosen for ``"auto"``; raise SpecError if FAM cannot be laid out in such."""
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


def check_path(path: object) -> Path:
    """Give the path of FAM as an absolute one; raise SpecError if QEMU cannot be given it."""
    if not isinstance(path, (str, Path)) or not str(path):
        raise SpecError(f"fam_path is {path!r}: give the path of a file")
    text = str(path)
    # QEMU reads its options as comma-separated text, and a control character has no place in either.
    if any(character in text for character in ",\0") or not text.isprintable():
        raise SpecError(f"fam_path is {text!r}: a comma or an unprintable character cannot be given to QEMU")
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as error:  # whose home it names nobody knows
        raise SpecError(f"fam_path is {text!r}: {error}; give the path as it is") from error
