"""The latencies of a fabric, as far as a projection needs them: by distance."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fame_lab.core.numeric import as_python, check_whole, real
from fame_lab.core.sanitize import quoted
from fame_lab.errors import SpecError
from fame_lab.spec.fam_layout import MAX_NODES

__all__ = ["FabricModel"]


@dataclass(frozen=True, kw_only=True)
class FabricModel:
    """Latencies and bandwidth of a fabric. No figure has a default: each is an argument, or a preset's.

    The presets' figures, and where they were published:

    ===================  =============================================================================
    :meth:`pond`         local 78 ns, remote 142 ns: Li et al., "Pond: CXL-Based Memory Pooling Systems
                         for Cloud Platforms", ASPLOS 2023, figure 4 (two Intel sockets, the remote
                         one's memory in the place of a CXL pool; they expect 70 to 90 ns over local
                         memory for pools of 8 to 16 sockets). Link 252 Gb/s: eight lanes of PCIe 5.0,
                         32 GT/s each in 128b/130b code, PCI Express Base Specification 5.0.
    :meth:`gen_z`        remote 400 ns, link 240 Gb/s (30 GB/s): a Gen-Z memory module, "Spotted at
                         Supercomputing 2019: A 256 GB Gen-Z Memory Module", AnandTech, November 2019.
    :meth:`the_machine`  the topology alone: ten nodes an enclosure, four enclosures (The Librarian,
                         github.com/FabricAttachedMemory/tm-librarian, docs/configure.md). No latency of
                         its fabric was found published, so its nanoseconds have to be given.
    ===================  =============================================================================

    Parameters
    ----------
    local_ns : float
        Latency of an access to memory at home on the accessing node [ns].
    remote_ns : float, optional
        Latency of an access to any other node's memory [ns]. Either this or `hop_ns`.
    hop_ns : float, optional
        Latency of each hop beyond those to the node's own memory, there and back [ns]. It needs `hops`.
    hops : sequence of sequence of int, optional
        Hops from initiator (row) to home (column), a row and a column for each node.
    link_gbps : float
        Bandwidth of a node's link each way, in gigabits (1e9) a second.
    source : str
        The origin of the figures; a projection bears it.

    Raises
    ------
    SpecError
        If a field cannot be right.

    Examples
    --------
    >>> FabricModel(local_ns=100, remote_ns=400, link_gbps=200).latency(2)
    array([[100., 400.],
           [400., 100.]])
    """

    local_ns: float
    remote_ns: float | None = None
    hop_ns: float | None = None
    hops: tuple[tuple[int, ...], ...] | None = None
    link_gbps: float
    source: str = "figures as given"

    def __post_init__(self) -> None:
        self._keep("local_ns", _positive("local_ns", self.local_ns, "nanoseconds"))
        self._keep("link_gbps", _positive("link_gbps", self.link_gbps, "gigabits a second"))
        if not isinstance(self.source, str):
            raise SpecError(
                f"source is {quoted(self.source)}", hint="say in words where the figures come from"
            )
        if (self.remote_ns is None) == (self.hop_ns is None):
            raise SpecError(
                f"remote_ns is {quoted(self.remote_ns)} and hop_ns is {quoted(self.hop_ns)}",
                hint="give the one or the other",
            )
        if (self.hop_ns is None) != (self.hops is None):
            raise SpecError("give hop_ns and hops together: what a hop adds, and how many there are")
        if self.remote_ns is not None:
            self._keep("remote_ns", _positive("remote_ns", self.remote_ns, "nanoseconds"))
            if self.remote_ns < self.local_ns:
                raise SpecError(
                    f"remote_ns is {self.remote_ns}, less than local_ns, {self.local_ns}: "
                    "no fabric is quicker than a node's own memory"
                )
        if self.hop_ns is not None:
            self._keep("hop_ns", _positive("hop_ns", self.hop_ns, "nanoseconds"))
            self._keep("hops", _check_hops(self.hops))

    def _keep(self, field: str, value: object) -> None:
        object.__setattr__(self, field, value)  # the only way in a frozen dataclass's __post_init__

    @classmethod
    def pond(cls) -> FabricModel:
        """Return a CXL memory pool, as Pond's authors emulate one. The class's table names the sources."""
        return cls(local_ns=78, remote_ns=142, link_gbps=252, source="Li et al., ASPLOS 2023; PCIe 5.0 x8")

    @classmethod
    def gen_z(cls, *, local_ns: float) -> FabricModel:
        """Return a Gen-Z memory module beside local memory.

        Parameters
        ----------
        local_ns : float
            Latency of an access to local memory [ns].

        Returns
        -------
        FabricModel

        Raises
        ------
        SpecError
            If it is not above 0.
        """
        local_ns = _positive("local_ns", local_ns, "nanoseconds")
        source = f"remote and link: AnandTech, November 2019; local_ns={local_ns:g} as given"
        return cls(local_ns=local_ns, remote_ns=400, link_gbps=240, source=source)

    @classmethod
    def the_machine(
        cls,
        nodes: int,
        *,
        local_ns: float,
        hop_ns: float,
        link_gbps: float,
        enclosure: int = 10,
        hops: tuple[int, int, int] = (1, 3, 5),
        source: str = "topology of The Machine; figures as given",
    ) -> FabricModel:
        """Return the topology of The Machine: enclosures of nodes.

        Parameters
        ----------
        nodes : int
            1 to 40; the first `enclosure` of them share the first enclosure, and so on.
        local_ns, hop_ns, link_gbps, source
            As of the class.
        enclosure : int
            Nodes in an enclosure.
        hops : tuple of int
            Hops to a node's own memory (its own switch), to another node of its enclosure (both nodes'
            switches and the enclosure's), and to a node of another enclosure.

        Returns
        -------
        FabricModel

        Raises
        ------
        SpecError
            If a figure cannot be right.

        Examples
        --------
        >>> machine = FabricModel.the_machine(20, local_ns=100, hop_ns=50, link_gbps=100)
        >>> machine.latency(20)[0, [0, 1, 10]].tolist()
        [100.0, 200.0, 300.0]
        """
        nodes = check_whole("nodes", nodes, 1, MAX_NODES)
        enclosure = check_whole("enclosure", enclosure, 1, MAX_NODES)
        hops = as_python(hops)
        if not isinstance(hops, (tuple, list)) or len(hops) != 3:
            raise SpecError(
                f"hops is {quoted(hops)}",
                hint="give three, to a node's own memory, within an enclosure, beyond",
            )
        own, within, beyond = hops
        rows = tuple(
            tuple(
                own if home == node else within if home // enclosure == node // enclosure else beyond
                for home in range(nodes)
            )
            for node in range(nodes)
        )
        return cls(local_ns=local_ns, hop_ns=hop_ns, hops=rows, link_gbps=link_gbps, source=source)

    def latency(self, nodes: int) -> npt.NDArray[np.float64]:
        """Return the latency of an access.

        Parameters
        ----------
        nodes : int
            The number of the lab's nodes.

        Returns
        -------
        ndarray of float64, shape (nodes, nodes)
            Nanoseconds by initiator (row) and home (column).

        Raises
        ------
        SpecError
            If `hops` are of another number of nodes.
        """
        if self.hops is None:
            latency = np.full((nodes, nodes), self.remote_ns, "f8")
            np.fill_diagonal(latency, self.local_ns)
            return latency
        if len(self.hops) != nodes:
            raise SpecError(
                f"hops are of {len(self.hops)} nodes, and the lab has {nodes}", hint="give a row for each"
            )
        hops: npt.NDArray[np.float64] = np.array(self.hops, "f8")
        return self.local_ns + float(self.hop_ns or 0) * (hops - hops.diagonal()[:, None])

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)


def _positive(name: str, value: object, unit: str) -> float:
    number = real(value)
    if number is None or not 0 < number <= sys.float_info.max:
        raise SpecError(f"{name} is {quoted(value)}", hint=f"give {unit}, more than 0")
    return float(number)


def _check_hops(hops: Any) -> tuple[tuple[int, ...], ...]:
    try:
        rows = tuple(tuple(as_python(row)) for row in hops)
    except TypeError:
        raise SpecError(
            f"hops is {quoted(hops)}", hint="give a row for each node, with a number for each"
        ) from None
    if not 1 <= len(rows) <= MAX_NODES or any(len(row) != len(rows) for row in rows):
        raise SpecError(
            f"hops has {len(rows)} rows, of {quoted([len(row) for row in rows])}",
            hint="give as many in a row as there are rows",
        )
    for number, row in enumerate(rows):
        if not all(type(each) is int and 0 <= each < 1000 for each in row):
            raise SpecError(
                f"hops of node {number + 1} are {quoted(row)}", hint="give whole numbers from 0 to 999"
            )
        if min(row) < row[number]:
            raise SpecError(f"hops of node {number + 1} are {row}: no node is nearer than its own memory")
    return rows
