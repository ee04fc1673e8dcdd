"""The description of a lab: frozen, every field checked when it is created."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from fame_lab.core import above
from fame_lab.core.numeric import check_whole
from fame_lab.core.paths import given_path
from fame_lab.core.sanitize import quoted
from fame_lab.core.sizes import MIB, format_size, parse_size
from fame_lab.errors import SpecError
from fame_lab.spec.fam_layout import MAX_NODES, Books, Interleaving
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
    for_field,
    is_debian,
)

__all__ = ["CHOICES", "MIN_FAM", "TCG_FAM_LIMIT", "LabSpec", "is_debian"]


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
        node N has 192.168.42.N, and the host 192.168.42.254.
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
        with for_field("name"):
            self._keep("name", check_name(self.name))
        with for_field("nodes"):
            self._keep("nodes", check_whole("nodes", self.nodes, 1, MAX_NODES))
        with for_field("vcpus"):
            self._keep("vcpus", check_whole("vcpus", self.vcpus, 1, MAX_VCPUS))
        for field, choices in CHOICES.items():
            with for_field(field):
                if field == "image":
                    self._keep("image", check_image(self.image))
                else:
                    self._keep(field, check_choice(field, getattr(self, field), choices))
        if self.trace and self.accel == "kvm":
            with for_field("trace"):
                raise SpecError(
                    "trace is True and accel 'kvm': only TCG can count accesses", hint="give accel='tcg'"
                )
        with for_field("fam"):
            self._keep("fam", check_fam(parse_size(self.fam, "fam"), self.accel))
        with for_field("memory"):
            self._keep("memory", check_memory(self.memory, str(self.image)))
        with for_field("book"):
            self._keep("book", check_book(self.book, self.fam_size, self.nodes))
        if self.fam_path is not None:
            with for_field("fam_path"):
                self._keep("fam_path", check_path(self.fam_path))
        with for_field("subnet"):
            self._keep("subnet", str(Subnet.parse(self.subnet)))
        with for_field("qemu"):
            self._keep("qemu", check_qemu(self.qemu))

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

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, sizes in bytes."""
        return asdict(self) | {"fam_path": None if self.fam_path is None else str(self.fam_path)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> LabSpec:
        """Create a spec from the values of :meth:`to_dict`.

        Parameters
        ----------
        values : dict
            By the field's name.

        Returns
        -------
        LabSpec

        Raises
        ------
        SpecError
            If a field is unknown, missing or wrong.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(values, dict):
            raise SpecError(f"{quoted(values)} is no LabSpec", hint=f"it must be a dict of {sorted(names)}")
        if unknown := [quoted(field) for field in values if field not in names]:
            raise SpecError(f"unknown fields {', '.join(unknown[:5])}: a LabSpec has {sorted(names)}")
        if "name" not in values:
            raise SpecError("a LabSpec needs a name")
        return cls(**values)

    def to_json(self) -> str:
        """Return the fields as JSON on one line."""
        return json.dumps(self.to_dict())

    def to_toml(self) -> str:
        """Return the fields as TOML, for :meth:`from_toml` and ``fame-lab up --spec``."""
        text: str = above.load("toml").to_toml(self)
        return text

    @classmethod
    def from_toml(cls, text: str) -> LabSpec:
        r"""Read fields as TOML; a missing field has its default.

        Parameters
        ----------
        text : str

        Returns
        -------
        LabSpec

        Raises
        ------
        SpecError
            If it is not TOML, or a field is unknown, missing or wrong.

        Examples
        --------
        >>> LabSpec.from_toml('name = "demo"\nfam = "1G"').nodes
        2
        """
        spec: LabSpec = above.load("toml").from_toml(text)
        return spec

    def to_xml(self, *, ssh_port: int = 2201) -> dict[str, str]:
        """Return each node as libvirt's XML, to live without the kit: ``virsh define``, ``virsh start``.

        Nothing is written or started. The nodes boot the image in the cache, which is built if need be. Their
        FAM is at `fam_path`, or /dev/shm/fame-NAME.fam, and QEMU makes it if it is missing. Root's shell is
        on the serial line (``virsh console``). SSH takes keys: see :meth:`export`.

        Parameters
        ----------
        ssh_port : int
            The port of 127.0.0.1 that leads to the first node's SSH server, and so on for the others.

        Returns
        -------
        dict of str to str
            XML by the node's name, in order; before them, with ``network="libvirt"``, that of the network as
            ``network``. With ``accel="auto"`` it asks for KVM if that works here. ``accel="kvm"`` is not
            tried, for the XML may be for another host.

        Raises
        ------
        SpecError
            If `trace` is set, which takes a lab; or if FAM cannot be of that size under the accelerator.
        HostError
            If the image cannot be built.
        """
        domains: dict[str, str] = above.load("export").to_xml(self, ssh_port=ssh_port)
        return domains

    def to_qemu_args(self, *, ssh_port: int = 2201) -> dict[str, list[str]]:
        """Return each node as QEMU's own command line: the same as :meth:`to_xml`, without libvirt.

        Parameters
        ----------
        ssh_port : int
            See :meth:`to_xml`.

        Returns
        -------
        dict of str to list of str
            Program and arguments by the node's name; :func:`shlex.join` makes a shell's line of them. The
            serial line, with root's shell and QEMU's monitor (Ctrl-A C), is on stdin and stdout.
            With ``network="libvirt"`` the nodes alone reach each other, by a multicast group on loopback.
        """
        commands: dict[str, list[str]] = above.load("export").to_qemu_args(self, ssh_port=ssh_port)
        return commands

    def export(self, directory: str | Path, *, ssh_port: int = 2201) -> Path:
        """Write a folder with all that the nodes need: XML, shell scripts, kernel, fresh keys, a README.

        Parameters
        ----------
        directory : str or Path
            It must not exist yet.
        ssh_port : int
            See :meth:`to_xml`.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        SpecError
            If the directory exists; see also :meth:`to_xml`.
        HostError
            If it cannot be written. Nothing is left then.
        """
        path = given_path("directory", directory)
        folder: Path = above.load("export_folder").write(self, path, ssh_port=ssh_port)
        return folder

    @classmethod
    def from_xml(cls, text: str) -> LabSpec:
        """Read a domain in FAME's style; see :func:`fame_lab.host.libvirt.domain_import.spec_of`.

        Parameters
        ----------
        text : str
            XML of a libvirt domain.

        Returns
        -------
        LabSpec

        Raises
        ------
        SpecError
            If it is no such domain, or no lab can be like it.
        """
        spec: LabSpec = above.load("domain_import").spec_of(text)
        return spec

    def __str__(self) -> str:
        where = f" at {self.fam_path}" if self.fam_path else ""
        plural = "" if self.nodes == 1 else "s"
        return f"{self.name}: {self.nodes} node{plural} around {format_size(self.fam_size)} of FAM{where}"
