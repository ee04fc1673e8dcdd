"""The description of a lab: frozen, every field checked when it is created."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fame_lab.core import above
from fame_lab.core.numeric import check_whole
from fame_lab.core.sizes import MIB, format_size, parse_size
from fame_lab.spec.fam_layout import MAX_NODES, Books, Interleaving
from fame_lab.spec.spec_forms import SpecForms
from fame_lab.spec.subnet import DEFAULT_SUBNET, Subnet
from fame_lab.spec.validation import (
    CHOICES,
    MAX_VCPUS,
    MIN_FAM,
    TCG_FAM_LIMIT,
    Accel,
    check_book,
    check_choice,
    check_fam,
    check_image,
    check_memory,
    check_name,
    check_path,
    check_qemu,
    check_subnet,
    check_trace,
    for_field,
    is_debian,
)

__all__ = ["CHOICES", "MIN_FAM", "TCG_FAM_LIMIT", "LabSpec", "is_debian"]


@dataclass(frozen=True)
class LabSpec(SpecForms):
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
        The image of the nodes: ``"appliance"``, a small initramfs; ``"debian"``, a whole Debian on a disk, or
        one with further packages by the name that ``fame-lab image build`` gave it, as ``"debian-gcc"``; or
        your own by its path, with a ``/`` in it: a qcow2 file with cloud-init, or a directory with
        ``kernel`` and ``initrd``.
    network : {"user", "libvirt"}
        ``user`` is SSH alone, on loopback. With ``libvirt`` the nodes also reach each other over IP, by name:
        as root through a bridge of the lab's own, which libvirt makes: by it the host reaches them, and they
        reach the host's networks (NAT); as an ordinary user through a switch, which ends at the nodes.
    start : {"auto", "cold", "template"}
        ``cold`` boots each node; ``template`` restores the nodes from one that is booted for this start.
        ``auto`` takes the faster that is safe. Where a template is not safe nodes start cold, and the
        manifest says why.
    trace : bool
        Whether each access to FAM can be counted: see :meth:`fame_lab.Lab.record`. It takes TCG.
    layout : {"contiguous", "interleaved"}
        The homes of books: in one block a node, or in turn.
    book : int or str
        Bytes of a book, a power of two; ``"auto"`` is 8 MiB, or the largest smaller power of two that
        gives every node one.
    vcpus : int
        Virtual CPUs of a node, 1 to 16.
    memory : int or str
        Bytes of a node's own memory, at least 96 MiB, from a disk 128 MiB; ``"auto"`` is 128 MiB, from a disk
        256 MiB. A lab's start refuses too little for kernel and initramfs, and names the least that works.
    fam_path : str or Path, optional
        The file of FAM. An existing file is used as it is and never deleted. By default the lab makes one in
        a private directory of /dev/shm, which ends with the lab. If /dev/shm has no room for all of it and
        the disk has more, the file is in the cache on disk.
    subnet : str
        Addresses of ``network="libvirt"``: a private IPv4 network of 24 bits or fewer. In ``192.168.42.0/24``
        node N has 192.168.42.N, and the host 192.168.42.254. Another `network` takes only the default.
    qemu : str or Path
        The QEMU that nodes run in: ``"auto"``, the host's own; ``"backports"``, the newer one of Debian's
        backports, in the cache (``fame-lab qemu``); or the path of another ``qemu-system-x86_64``, 7.2 or
        newer. A spec may be for another host, so the program is looked at when a lab starts.

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
    subnet: str = DEFAULT_SUBNET
    qemu: str | Path = "auto"

    def __post_init__(self) -> None:
        # In this order: some checks use what others have made of their field.
        checks: dict[str, Callable[[], object]] = {
            "name": lambda: check_name(self.name),
            "nodes": lambda: check_whole("nodes", self.nodes, 1, MAX_NODES),
            "vcpus": lambda: check_whole("vcpus", self.vcpus, 1, MAX_VCPUS),
            "accel": lambda: check_choice("accel", self.accel, CHOICES["accel"]),
            "image": lambda: check_image(self.image),
            "network": lambda: check_choice("network", self.network, CHOICES["network"]),
            "start": lambda: check_choice("start", self.start, CHOICES["start"]),
            "trace": lambda: check_trace(self.trace, self.accel),
            "layout": lambda: check_choice("layout", self.layout, CHOICES["layout"]),
            "fam": lambda: check_fam(parse_size(self.fam, "fam"), self.accel),
            "memory": lambda: check_memory(self.memory, str(self.image)),
            "book": lambda: check_book(self.book, self.fam_size, self.nodes),
            "fam_path": lambda: None if self.fam_path is None else check_path(self.fam_path),
            "subnet": lambda: check_subnet(self.subnet, self.network),
            "qemu": lambda: check_qemu(self.qemu),
        }
        for field, check in checks.items():
            with for_field(field):
                object.__setattr__(self, field, check())  # as dataclasses leave it to a frozen one

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
    def addresses(self) -> Subnet | None:
        """The addresses of the lab's own network; None where nodes have none."""
        return Subnet.parse(self.subnet) if self.network == "libvirt" else None

    @property
    def node_names(self) -> tuple[str, ...]:
        """``node01`` to the last."""
        return tuple(f"node{number:02d}" for number in range(1, self.nodes + 1))

    def _repr_html_(self) -> str:
        html: str = above.load("spec_html").spec_html(self)
        return html

    def __str__(self) -> str:
        where = f" at {self.fam_path}" if self.fam_path else ""
        plural = "" if self.nodes == 1 else "s"
        return f"{self.name}: {self.nodes} node{plural} around {format_size(self.fam_size)} of FAM{where}"
