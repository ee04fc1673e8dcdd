"""Ring: messages a second, and bytes, through a queue in FAM from one node to another.

One producer, one consumer and no lock (Lamport, *Specifying Concurrent Program Modules*, TOPLAS 1983):
the producer alone writes the tail, the consumer alone the head, each in a line of its own, and each keeps
a copy of the other's index that it renews only when the copy says full or empty, as folly's
ProducerConsumerQueue and FastForward's successors do. A message is its number, and words that follow from
the number and their position. The consumer checks every word of every message, as part of the time.

The consumer times, in batches of whole laps of the ring; what had gathered in the ring before a batch is
not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from fame_lab.core.jobs.progress import current
from fame_lab.core.sanitize import quoted
from fame_lab.core.sizes import MIB, parse_size
from fame_lab.errors import ProbeError, SpecError
from fame_lab.probes.common.arguments import check_offset, fam_options, find_nodes
from fame_lab.probes.common.barrier import check_patience, run_at_barrier
from fame_lab.probes.common.batches import Batches, check_batches, read_batches, summary
from fame_lab.probes.common.host_contention import OVERSUBSCRIBED, contention_note, oversubscribed
from fame_lab.probes.common.measurement import Measurement
from fame_lab.probes.common.parameter_types import takes_numpy
from fame_lab.probes.common.program_output import OutputRecord
from fame_lab.results import plots
from fame_lab.results.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fame_lab.host.target import TargetLab

__all__ = ["MESSAGE_SIZES", "plot", "run"]

MESSAGE_SIZES = (8, 64, 256, 1024, 4096)

#: Bytes of FAM before the slots: the consumer's line and the producer's, 128 bytes apart.
_LINES = 256
_ALIGNMENT = 128
_MAX_SLOTS = 1 << 16
_MANY = 1 << 62
_U64 = (1 << 64) - 1


@takes_numpy
def run(
    lab: TargetLab,
    *,
    nodes: Sequence[int | str] = (0, 1),
    message_sizes: int | str | Sequence[int | str] = MESSAGE_SIZES,
    slots: int = 64,
    offset: int | str = 0,
    batches: int = 30,
    batch_ms: float = 1.0,
    mapping: str = "uc",
    patience: float = 10.0,
) -> Result:
    """Measure a queue between two nodes. Overwrites 256 bytes and all slots of FAM, from `offset` on.

    Parameters
    ----------
    lab : Lab
    nodes : pair of int or str
        The producer and the consumer, by number, from 0, or by name.
    message_sizes : int, str, or sequence of these
        Bytes: multiples of 8 up to 1 MiB, each once. Messages lie next to each other: several small ones
        share a line.
    slots : int
        Messages that the ring holds: a power of two from 2 to 65536.
    offset : int or str
        Where in FAM, a multiple of 128.
    batches : int
        How many timed batches for each size, from 30 to 1000.
    batch_ms : float
        Milliseconds that a batch lasts at least, from 1 to 1000. It holds whole laps of the ring.
    mapping : {"uc", "wc", "wb"}
        How the CPUs are asked to treat FAM. With ``"wc"``, whose stores linger and pass each other, both
        nodes put fences around each index that they write.
    patience : float
        Whole seconds that a node waits for the other, from 1 to 3600, before the probe fails.

    Returns
    -------
    Result
        ``message_rate`` [1/s] and ``throughput`` [GB/s, 1e9 bytes of messages a second]
        (message_size, batch), ``message_rate_summary`` and ``throughput_summary`` (statistic,
        message_size), ``preempted`` (message_size, batch) on either node, ``operations`` (messages in a
        batch), ``messages`` (sent and received in all, warm-up included), ``wrong`` (of these, not what was
        sent) and ``timer`` (message_size); the coordinates ``producer``, ``consumer``, ``oversubscribed``.
        It has failed if any message was wrong.

    Raises
    ------
    SpecError
        If a parameter cannot be right.
    ProbeError, CommandError
        If there are no two nodes, one does not come or does not go on, or their counts differ.
    """
    asked = check_batches(batches, batch_ms)
    sizes = _check_sizes(message_sizes)
    if type(slots) is not int or not 2 <= slots <= _MAX_SLOTS or slots & (slots - 1):
        raise SpecError(f"slots is {quoted(slots)}: give a power of two from 2 to {_MAX_SLOTS}")
    check_patience(patience)
    if isinstance(nodes, str) or len(nodes) != 2:
        raise SpecError(f"nodes is {quoted(nodes)}: give the producer and the consumer")
    producer, consumer = find_nodes(lab, nodes, least=2)
    at = check_offset(lab, offset, _LINES + -(-slots * max(sizes) // 64) * 64, _ALIGNMENT)
    shared = ["ring", "--sizes", ",".join(map(str, sizes)), "--slots", str(slots)]
    shared += [*fam_options(mapping), "--offset", str(at), *asked]
    arguments = {producer: [*shared, "--role", "producer"], consumer: [*shared, "--role", "consumer"]}
    # The program's own patience ends first, and tells more.
    timeout = (4 * patience + 60) * len(sizes)
    current().set_total(2)
    with Measurement(lab, "ring") as measurement:
        lines = run_at_barrier(lab, arguments, patience=patience, timeout=timeout)
    for name, written in lines.items():
        if len(written) != len(sizes):
            raise ProbeError(f"{name}: the probe wrote {len(written)} lines for {len(sizes)} sizes")
    found = []
    mappings = set()
    for size, sent, received in zip(sizes, lines[producer.name], lines[consumer.name], strict=True):
        pair = OutputRecord(sent, producer.name), OutputRecord(received, consumer.name)
        for fields, role in zip(pair, ("producer", "consumer"), strict=True):
            fields.choice("probe", ["ring"])
            fields.choice("role", [role])
            fields.integer("message_size", size, size)
            fields.integer("slots", slots, slots)
            mappings.add(fields.mapping())
        found.append(_Flow(*pair, batches))
    dataset = _dataset(found, sizes, producer.name, consumer.name)
    parameters = {
        "nodes": [producer.name, consumer.name], "message_sizes": sizes, "slots": slots, "offset": at,
        "mapping": mapping, "batches": batches, "batch_ms": batch_ms, "patience": patience,
    }  # fmt: skip
    return measurement.result(dataset, parameters, mappings, {"slots": slots, "offset": at})


def _check_sizes(sizes: int | str | Sequence[int | str]) -> list[int]:
    asked = [sizes] if isinstance(sizes, (int, str)) else sizes
    chosen = [parse_size(size, "message_size") for size in asked]
    if not 1 <= len(chosen) <= 64 or len(set(chosen)) != len(chosen):
        raise SpecError(f"message_sizes is {quoted(sizes)}: give 1 to 64 sizes, each once")
    for size in chosen:
        if not 8 <= size <= MIB or size % 8:
            raise SpecError(f"a message of {size} bytes cannot be: give a multiple of 8, from 8 to {MIB}")
    return chosen


class _Flow:
    """What the two nodes found of one size, checked against each other."""

    def __init__(self, sent: OutputRecord, received: OutputRecord, count: int) -> None:
        self.messages = sent.integer("messages", 1, _MANY)
        if (arrived := received.integer("messages", 0, _MANY)) != self.messages:
            raise ProbeError(
                f"{sent.node} sent {self.messages} messages and {received.node} received {arrived}"
            )
        measured = read_batches(received, "batch_messages", count)
        if (timed := count * measured.operations) > self.messages:
            raise ProbeError(f"{received.node} timed {timed} messages of {self.messages}")
        theirs = np.array(sent.integers("preempted", count, 0, 1), bool)
        self.batches = Batches(
            measured.operations, measured.nanoseconds, measured.preempted | theirs, measured.timer_ns
        )
        self.wrong = received.integer("wrong", 0, self.messages)
        self.failed = ""
        if self.wrong:
            first = received.integer("first_wrong", 1, self.messages)
            word = received.integer("first_word", 0, MIB // 8)
            expected, found = received.integer("expected", 0, _U64), received.integer("found", 0, _U64)
            size = received.integer("message_size", 8, MIB)
            self.failed = (
                f"{self.wrong:,} of {self.messages:,} messages of {size} bytes were not what was sent; "
                f"the first was number {first:,}, whose word {word} was {found:#x} instead of {expected:#x}"
            )


def _dataset(found: list[_Flow], sizes: list[int], producer: str, consumer: str) -> xr.Dataset:
    coords = {"message_size": ("message_size", sizes, {"units": "B", "long_name": "message size"})}
    dims = ("message_size", "batch")
    rate = xr.DataArray(
        np.array([1e9 / flow.batches.ns_per_operation for flow in found]),
        coords,
        dims,
        attrs={"units": "1/s", "long_name": "messages a second"},
    )
    throughput = (rate * rate["message_size"] / 1e9).assign_attrs(units="GB/s", long_name="throughput")
    dataset = xr.Dataset(
        {
            "message_rate": rate,
            "message_rate_summary": summary(rate),
            "throughput": throughput,
            "throughput_summary": summary(throughput),
            "preempted": (
                dims,
                [flow.batches.preempted for flow in found],
                {"long_name": "either node was preempted"},
            ),
        },
        coords={"producer": producer, "consumer": consumer, "oversubscribed": oversubscribed(2)},
    )
    for name, values, told in (
        ("operations", [flow.batches.operations for flow in found], {"long_name": "messages in a batch"}),
        ("messages", [flow.messages for flow in found], {"long_name": "messages sent and received in all"}),
        ("wrong", [flow.wrong for flow in found], {"long_name": "messages that were not what was sent"}),
        ("timer", [flow.batches.timer_ns for flow in found], {"units": "ns", "long_name": "a clock reading"}),
    ):
        dataset[name] = ("message_size", values, told)
    dataset.attrs["convention"] = "bytes are those of messages, each counted once; GB is 1e9"
    if failures := [flow.failed for flow in found if flow.failed]:
        dataset.attrs["failed"] = "; ".join(failures)
    return dataset


def plot(result: Result) -> Figure:
    """Draw messages and bytes a second over the message size."""
    dataset = result.dataset
    preempted = dataset["preempted"]
    note = (
        f"n = {dataset.sizes['batch']} batches a size ({int(preempted.sum())} of {preempted.size} "
        "preempted in the guest), marker: median, bar: its 95 % interval, band: min to p90\n"
        f"{int(dataset['messages'].sum()):,} messages, every word of each checked; FAM mapped "
        f"{dataset.attrs['mapping']}\n{contention_note(dataset.attrs['host_cpu_wait'])}"
    )
    if bool(dataset["oversubscribed"]):
        note += f"\n{OVERSUBSCRIBED}"
    made, (rate, throughput) = plots.figure(
        f"Ring of {dataset.attrs['slots']} slots from {dataset['producer'].item()} to "
        f"{dataset['consumer'].item()}",
        result.manifest,
        note,
        columns=2,
        share_y=False,
        failed=result.failed,
    )
    _line(rate, dataset["message_rate_summary"] / 1e6, 0, "messages [million/s]")
    _line(throughput, dataset["throughput_summary"], 1, "throughput [GB/s]")
    return made


def _line(axes: Axes, values: xr.DataArray, number: int, label: str) -> None:
    sizes = values["message_size"].values
    found = {str(name): values.sel(statistic=name).values for name in values["statistic"].values}
    look = plots.style(number)
    axes.fill_between(sizes, found["min"], found["p90"], color=look["color"], alpha=0.15, linewidth=0)
    axes.vlines(sizes, found["p50_low"], found["p50_high"], color=look["color"], linewidth=3, alpha=0.6)
    axes.plot(sizes, found["p50"], **look, markersize=5)
    axes.set_yscale("log")
    axes.set_ylabel(label)
    plots.size_axis(axes, "message size")
    plots.plain_log(axes.yaxis)
