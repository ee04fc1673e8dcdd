"""The checks of a spec's fields, and their messages."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

from fame_lab.core.paths import given_path
from fame_lab.core.sanitize import quoted
from fame_lab.core.sizes import KIB, MIB, format_size, nearest_powers, parse_size
from fame_lab.errors import SpecError
from fame_lab.spec.fam_layout import Interleaving, auto_book
from fame_lab.spec.subnet import DEFAULT_SUBNET, Subnet

__all__ = [
    "CHOICES",
    "KVM_FAM_LIMIT",
    "MAX_VCPUS",
    "MIN_DISK_MEMORY",
    "MIN_FAM",
    "QEMU_NAMES",
    "TCG_FAM_LIMIT",
    "Accel",
    "check_book",
    "check_choice",
    "check_fam",
    "check_image",
    "check_memory",
    "check_name",
    "check_path",
    "check_qemu",
    "check_subnet",
    "check_trace",
    "for_field",
    "is_debian",
]

MIN_FAM = MIB
#: The least memory that boots a node, and the default: of the appliance, and of any other image. A kernel and
#: an initramfs may need more, which is computed before a start (guest/images/least_memory.py).
#: (Debian was up with 128M on QEMU 7.2 and 10.0, at a quarter more processor time than with 160M.)
MIN_MEMORY = 96 * MIB
MIN_DISK_MEMORY = 128 * MIB
AUTO_MEMORY = 128 * MIB
AUTO_DISK_MEMORY = 256 * MIB
MAX_MEMORY = 64 << 30
MAX_VCPUS = 16
#: Largest BAR that QEMU's TCG can place: it has 40 physical address bits, and the BAR lies at an
#: address equal to its size (measured on QEMU 7.2: 512 GiB boots, 1 TiB leaves BAR2 unassigned).
TCG_FAM_LIMIT = 512 << 30
#: Largest FAM under KVM, whatever the processor's address bits: one memory slot holds less than 2**31 pages,
#: 8 TiB, and QEMU aborts on more (Linux 6.1).
KVM_FAM_LIMIT = 4 << 40

Accel = Literal["auto", "kvm", "tcg"]

#: Names of QEMUs, as image="debian" is one of an image: the cache has that of the distribution's backports.
QEMU_NAMES = ("backports",)

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,30}[A-Za-z0-9])?", re.ASCII)

#: Debian images: the usual one, and those with further packages.
_DEBIAN = re.compile(r"debian(-[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?)?", re.ASCII)

#: The values of fields that have few; an image can be another, too.
CHOICES: dict[str, tuple[str | bool, ...]] = {
    "accel": get_args(Accel),
    "image": ("appliance", "debian"),
    "network": ("user", "libvirt"),
    "start": ("auto", "cold", "template"),
    "trace": (False, True),
    "layout": get_args(Interleaving),
}


@contextlib.contextmanager
def for_field(field: str) -> Iterator[None]:
    """Set the field of a SpecError in the block, for a form that shows the message there."""
    try:
        yield
    except SpecError as error:
        error.field = field
        raise


def check_name(name: object) -> str:
    """Return the name of a lab, which can stand in a path; raise SpecError if it is none."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SpecError(
            f"name is {quoted(name)}",
            hint=(
                "give 1 to 32 letters (A to Z, a to z), digits, - and _, "
                "beginning and ending with a letter or digit"
            ),
        )
    return str(name)


def check_choice(field: str, value: object, choices: tuple[Any, ...]) -> Any:
    """Return the choice that equals `value`; raise SpecError if there is none."""
    single = value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value
    for choice in choices:
        if single is choice or (isinstance(single, str) and single == choice):
            return choice
    allowed = " or ".join(map(repr, choices))
    raise SpecError(f"{field} is {quoted(value)}: this version takes {allowed}")


def check_trace(trace: object, accel: str) -> bool:
    """Return whether accesses are counted; raise SpecError if that is no bool, or nodes cannot be counted."""
    chosen = bool(check_choice("trace", trace, CHOICES["trace"]))
    if chosen and accel == "kvm":
        raise SpecError("trace is True and accel 'kvm': only TCG can count accesses", hint="give accel='tcg'")
    return chosen


def check_fam(size: int, accel: str) -> int:
    """Return the bytes of FAM; raise SpecError if no BAR can have so many."""
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
    if size > KVM_FAM_LIMIT:
        raise SpecError(
            f"fam is {format_size(size)}: a memory slot of KVM holds less than 8T; "
            f"the largest FAM that any node can have is {format_size(KVM_FAM_LIMIT)}"
        )
    return size


def is_debian(image: str) -> bool:
    """Return whether an image's name is that of a Debian which :mod:`fame_lab.guest.images.debian` builds."""
    return _DEBIAN.fullmatch(image) is not None


def check_image(image: object) -> str:
    """Return the name of an image, or the path of one; raise SpecError if it can be neither."""
    if isinstance(image, (str, os.PathLike)):
        text = os.fspath(image)
        if text == "appliance" or (isinstance(text, str) and is_debian(text)):
            return str(text)
        if isinstance(image, os.PathLike) or "/" in text:
            return str(check_path(image, "image"))
    raise SpecError(
        f"image is {quoted(image)}: it takes 'appliance', 'debian', the name 'debian-...' of one that "
        "`fame-lab image build` made, or the path of your own, with a / in it"
    )


def check_qemu(qemu: object) -> str:
    """Return ``"auto"``, a name, or the path of a QEMU; raise SpecError if it can be none of these."""
    if isinstance(qemu, Path) or (isinstance(qemu, str) and "/" in qemu):
        return str(check_path(qemu, "qemu"))
    if isinstance(qemu, str) and qemu in ("auto", *QEMU_NAMES):
        return qemu
    raise SpecError(
        f"qemu is {quoted(qemu)}",
        hint=(
            "give 'auto' for the host's own, 'backports' for what `fame-lab qemu get` "
            "brings, or the path of another qemu-system-x86_64, with a / in it"
        ),
    )


def check_memory(memory: int | str, image: str) -> int:
    """Return the bytes of a node's memory, chosen for ``"auto"``; raise SpecError if none boots with it."""
    small = image == "appliance"
    if isinstance(memory, str) and memory == "auto":
        return AUTO_MEMORY if small else AUTO_DISK_MEMORY
    size, least = parse_size(memory, "memory"), MIN_MEMORY if small else MIN_DISK_MEMORY
    if not least <= size <= MAX_MEMORY or size % MIB:
        raise SpecError(
            f"memory is {format_size(size)} ({size} bytes)",
            hint=(
                f"give whole MiB from {format_size(least)} "
                f"(with less, image {quoted(image)} does not come up) to {format_size(MAX_MEMORY)}"
            ),
        )
    return size


def check_book(book: int | str, fam_size: int, nodes: int) -> int:
    """Return the bytes of a book, chosen for ``"auto"``; raise SpecError if FAM cannot be laid out so."""
    fitting = auto_book(fam_size, nodes)
    if isinstance(book, str) and book == "auto":
        return fitting
    size = parse_size(book, "book")
    if size < 4 * KIB or size & (size - 1):
        raise SpecError(
            f"book is {format_size(size)} ({size} bytes)",
            hint=f"give a power of two from 4K; {format_size(fitting)} fits",
        )
    if fam_size // size < nodes:
        raise SpecError(
            f"book is {format_size(size)}: {format_size(fam_size)} of FAM has {fam_size // size} such books, "
            f"fewer than nodes ({nodes}); a book of {format_size(fitting)} fits"
        )
    return size


def check_subnet(subnet: object, network: str, *, unused: str = DEFAULT_SUBNET) -> str:
    """Return a network as text; without use for addresses, raise SpecError if it is another than `unused`."""
    text = str(Subnet.parse(subnet))
    if network == "user" and text != unused:
        raise SpecError(
            f"subnet is {text!r}, and with network='user' nodes have no addresses of their own",
            hint="give network='libvirt' as well",
        )
    return text


def check_path(path: object, field: str = "fam_path") -> Path:
    """Return the path of FAM as an absolute one; raise SpecError if QEMU cannot be given it."""
    text = str(given_path(field, path))
    # QEMU reads its options as comma-separated text, and a control character has no place in either.
    if "," in text or not text.isprintable():
        raise SpecError(
            f"{field} is {quoted(text)}: a comma or an unprintable character cannot be given to QEMU"
        )
    try:
        return given_path(field, Path(text).expanduser().absolute())
    except (RuntimeError, OSError) as error:  # the home of no known user; or the working directory is gone
        raise SpecError(f"{field} is {quoted(text)}: {error}", hint="give the path as it is") from error
