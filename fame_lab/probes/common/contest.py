"""Contests: nodes that do the same at once, for batches of time in which none of them is out of it.

The nodes begin each batch together. When a node's time is up it notes what it did, says so, and goes on
until all have said so; then all pause together. So each batch was contended from its beginning to its end,
and what the nodes did until the last one's time was up, in the windows that they had in common, can be
compared. A batch lasts at least the time asked for, whatever was done in it: were the work fixed instead, a
node that the others starve would never be through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from fame_lab.errors import ProbeError
from fame_lab.probes.common.barrier import run_at_barrier, single_record
from fame_lab.probes.common.batches import PREEMPTED, TIMER, batch_options
from fame_lab.probes.common.program_output import OutputRecord
from fame_lab.spec.fam_layout import BARRIER_SIZE

if TYPE_CHECKING:
    from fame_lab.host.target import TargetLab, TargetNode
__all__ = ["Contender", "ContestSettings", "contest", "dataset", "jain_index", "progress_slots"]

_LONGEST_NS = 3600 * 10**9
_MAX_COUNT = 1 << 53
_TIMER_SHARE = 0.01


@dataclass(frozen=True)
class ContestSettings:
    """How long a contest lasts.

    Parameters
    ----------
    batches : int
        How many, from 30 to 1000.
    batch_ms : float
        Milliseconds that a batch lasts at least, from 1 to 1000.
    peer_timeout : float
        Whole seconds that a node waits for another.
    """

    batches: int
    batch_ms: float
    peer_timeout: float

    @property
    def words(self) -> list[str]:
        """The probe program's options."""
        return batch_options(self.batches, self.batch_ms)

    def timeout(self, nodes: int) -> float:
        """Return the seconds for a contest; a node's own timeout ends first, and its message says more.

        With more nodes than host cores, each batch waits for every node to have had one.
        """
        return 4 * self.peer_timeout + 60 + self.batches * (4 * self.batch_ms / 1000 + 0.1 * nodes)


@dataclass(frozen=True)
class Contender:
    """One node's part in a contest.

    Parameters
    ----------
    nanoseconds, preempted : ndarray of shape (batch,)
        How long each batch took, and whether something else had the guest's CPU in it.
    counts : dict of str to ndarray of shape (batch,)
        What it counted in each batch, by name.
    in_window, in_all : dict of str to int
        The same in all windows that the nodes had in common, and in all that it did, warm-up included.
    window_ns : int
        How long those windows were together, by the node's own clock.
    timer_ns : float
        What reading the clock costs.
    mapping : str
    fields : OutputRecord
        The line, for what else is in it.
    """

    nanoseconds: npt.NDArray[np.float64]
    preempted: npt.NDArray[np.bool_]
    counts: dict[str, npt.NDArray[np.float64]]
    in_window: dict[str, int]
    in_all: dict[str, int]
    window_ns: int
    timer_ns: float
    mapping: str
    fields: OutputRecord

    def check_part(self, part: str, whole: str) -> None:
        """Raise ProbeError if it counted more of `part` than of what it is a part of."""
        pairs = [(self.in_window[part], self.in_window[whole]), (self.in_all[part], self.in_all[whole])]
        if any(some > most for some, most in pairs) or (self.counts[part] > self.counts[whole]).any():
            raise ProbeError(f"{self.fields.node}: the probe counted more {part} than {whole}")


def progress_slots(lab: TargetLab, nodes: Sequence[TargetNode]) -> dict[TargetNode, list[str]]:
    """Return for each node the options that say where in the control area its progress stands."""
    at = lab.fam.control.barrier(1)
    lab.fam.write(at, bytes(BARRIER_SIZE * len(nodes)), control=True)
    return {node: ["--steps", str(at), "--rank", str(rank)] for rank, node in enumerate(nodes)}


def contest(
    lab: TargetLab,
    nodes: Sequence[TargetNode],
    words: Sequence[str],
    counts: Sequence[str],
    rules: ContestSettings,
) -> list[Contender]:
    """Run a contest of nodes.

    Parameters
    ----------
    lab : Lab
    nodes : sequence of Node
    words : sequence of str
        The probe program's command and its own options, the same for all.
    counts : sequence of str
        The names of what it counts.
    rules : ContestSettings

    Returns
    -------
    list of Contender
        One a node, in order.

    Raises
    ------
    ProbeError
        If a node could not end its part, or its figures do not agree with each other.
    """
    places = progress_slots(lab, nodes)
    arguments = {node: [*words, *rules.words, *places[node]] for node in nodes}
    lines = run_at_barrier(lab, arguments, peer_timeout=rules.peer_timeout, timeout=rules.timeout(len(nodes)))
    return [_read(single_record(lines, node, words[0]), counts, rules) for node in nodes]


def _read(fields: OutputRecord, names: Sequence[str], rules: ContestSettings) -> Contender:
    count = rules.batches
    least = round(rules.batch_ms * 1000) * 1000
    nanoseconds = fields.integers("batch_ns", count, least, _LONGEST_NS)
    window = fields.integer("window_ns", sum(nanoseconds), count * _LONGEST_NS)
    in_all = {name: fields.integer(f"all_{name}", 0, _MAX_COUNT) for name in names}
    in_window = {name: fields.integer(f"window_{name}", 0, in_all[name]) for name in names}
    series = {name: fields.integers(name, count, 0, _MAX_COUNT) for name in names}
    for name in names:
        if sum(series[name]) > in_window[name]:
            raise ProbeError(f"{fields.node}: the probe's counts of {name} do not agree with each other")
    share = fields.number("timer_share", 0, 1)
    if share > _TIMER_SHARE:
        raise ProbeError(
            f"{fields.node}: reading the clock took {100 * share:.1f} % of a batch, which is over 1 %",
            hint="ask for longer batches with batch_ms",
        )
    return Contender(
        np.array(nanoseconds, float),
        np.array(fields.integers("preempted", count, 0, 1), bool),
        {name: np.array(series[name], float) for name in names},
        in_window,
        in_all,
        window,
        fields.number("timer_ns", 0, 1e9),
        fields.mapping(),
        fields,
    )


def jain_index(amounts: Sequence[float]) -> float:
    """Return Jain's index of fairness: 1 if all have the same, 1/n if one of n has all.

    Source: R. Jain, D. Chiu, W. Hawe, A Quantitative Measure of Fairness and Discrimination for Resource
    Allocation in Shared Computer Systems, DEC-TR-301, 1984.

    Examples
    --------
    >>> jain_index([5, 5]), jain_index([1, 0, 0, 0])
    (1.0, 0.25)
    >>> jain_index([0, 0])
    nan
    """
    values = np.asarray(amounts, float)
    squares = float((values**2).sum())
    return float(values.sum()) ** 2 / (values.size * squares) if squares else float("nan")


def dataset(
    runs: Sequence[Sequence[Contender]],
    dims: Mapping[str, Sequence[Any]],
    nodes: Sequence[TargetNode],
    counts: Mapping[str, str],
) -> xr.Dataset:
    """Build a dataset of several contests.

    Parameters
    ----------
    runs : sequence of sequence of Contender
        The contests, in the order of `dims`, the last varying fastest; in each the first of `nodes`, as
        many as took part.
    dims : mapping of str to sequence
        What tells the contests apart, with its labels.
    nodes : sequence of Node
    counts : mapping of str to str
        What is counted, and in words.

    Returns
    -------
    Dataset
        ``elapsed`` [ns], ``preempted`` and each count (…, node, batch); ``window`` [ns], ``timer`` [ns] and
        of each count ``window_…`` and ``all_…`` (…, node). NaN where a node did not take part.
    """
    names = [*dims, "node"]
    shape = [len(labels) for labels in dims.values()]
    coords = {**dims, "node": [node.name for node in nodes]}

    def array(pick: Callable[[Contender], Any], *, absent: Any = np.nan, **attrs: str) -> xr.DataArray:
        one = np.asarray(pick(runs[0][0]))
        filled = np.full((len(runs), len(nodes), *one.shape), absent)
        for at, run in enumerate(runs):
            for rank, contender in enumerate(run):
                filled[at, rank] = pick(contender)
        over = [*names, "batch"][: len(names) + one.ndim]
        return xr.DataArray(filled.reshape(*shape, *filled.shape[1:]), dims=over, coords=coords, attrs=attrs)

    data = xr.Dataset(
        {
            "elapsed": array(lambda c: c.nanoseconds, units="ns", long_name="how long a batch took"),
            "preempted": array(lambda c: c.preempted, absent=False, **PREEMPTED),
            "window": array(lambda c: c.window_ns, units="ns", long_name="the windows common to all nodes"),
            "timer": array(lambda c: c.timer_ns, **TIMER),
        }
    )

    def add(name: str, words: str) -> None:
        data[name] = array(lambda c: c.counts[name], long_name=f"{words} in a batch")
        data[f"window_{name}"] = array(
            lambda c: c.in_window[name], long_name=f"{words} in the common windows"
        )
        data[f"all_{name}"] = array(lambda c: c.in_all[name], long_name=f"{words} in all, warm-up included")

    for name, words in counts.items():
        add(name, words)
    return data
