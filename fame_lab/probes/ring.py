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
from typing import TYPE_CHECKING, Annotated

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from fame_lab.core.jobs.progress import current
from fame_lab.core.sanitize import quoted
from fame_lab.core.sizes import MIB
from fame_lab.errors import ProbeError, SpecError
from fame_lab.probes.common.arguments import MAPPINGS, check_offset, fam_options, find_nodes
from fame_lab.probes.common.barrier import run_at_barrier
from fame_lab.probes.common.batches import batch_options, read_batches, summary
from fame_lab.probes.common.constraints import Choice, Multiple, PowerOfTwo, Range, Several
from fame_lab.probes.common.declaration import check_arguments
from fame_lab.probes.common.host_contention import host_note, oversubscribed
from fame_lab.probes.common.measurement import Measurement
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
_MANY = 1 << 62
_U64 = (1 << 64) - 1


@check_arguments
def run(
    lab: TargetLab,
    *,
    nodes: Sequence[int | str] = (0, 1),
    message_sizes: Annotated[int | str | Sequence[int | str], Several(Multiple(8, 8, MIB))] = MESSAGE_SIZES,
    slots: Annotated[int, PowerOfTwo(2, 65536)] = 64,
    offset: Annotated[int | str, Multiple(_ALIGNMENT, 0)] = 0,
    batches: Annotated[int, Range(30, 1000)] = 30,
    batch_ms: Annotated[float, Range(1.0, 1000.0, "milliseconds")] = 1.0,
    mapping: Annotated[str, Choice(*MAPPINGS)] = "uc",
    peer_timeout: Annotated[float, Range(1.0, 3600.0, "seconds", whole=True)] = 10.0,
) -> Result:
    """Measure a queue between two nodes. Overwrites 256 bytes and all slots of FAM, from `offset` on.

    Parameters
    ----------
    lab : Lab
    nodes : pair of int or str
        The producer and the consumer, by number, from 0, or by name.
    message_sizes : int, str, or sequence of these
        Messages lie next to each other: several small ones
        share a line.
    slots : int
        Messages that the ring holds.
    offset : int or str
        Where in FAM.
    batches : int
        How many timed batches for each size.
    batch_ms : float
        Milliseconds that a batch lasts at least. It holds whole laps of the ring.
    mapping : {"uc", "wc", "wb"}
        How the CPUs are asked to treat FAM. With ``"wc"``, whose stores linger and pass each other, both
        nodes put fences around each index that they write.
    peer_timeout : float
        Whole seconds that a node waits for the other before the probe fails.

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
    if len(nodes) != 2:
        raise SpecError(f"nodes is {quoted(nodes)}", hint="give the producer and the consumer")
    several = [message_sizes] if isinstance(message_sizes, (int, str)) else message_sizes
    sizes = [int(size) for size in several]
    producer, consumer = find_nodes(lab, nodes, least=2)
    at = check_offset(lab, offset, _LINES + -(-slots * max(sizes) // 64) * 64, _ALIGNMENT)
    shared = ["ring", "--sizes", ",".join(map(str, sizes)), "--slots", str(slots)]
    shared += [*fam_options(mapping), "--offset", str(at), *batch_options(batches, batch_ms)]
    arguments = {producer: [*shared, "--role", "producer"], consumer: [*shared, "--role", "consumer"]}
    # The program's own timeout ends first, and tells more.
    timeout = (4 * peer_timeout + 60) * len(sizes)
    current().set_total(2)
    with Measurement(lab, "ring") as measurement:
        lines = run_at_barrier(lab, arguments, peer_timeout=peer_timeout, timeout=timeout)
    for name, records in lines.items():
        if len(records) != len(sizes):
            raise ProbeError(f"{name}: the probe wrote {len(records)} lines for {len(sizes)} sizes")
    flows = []
    mappings = set()
    for size, sent, received in zip(sizes, lines[producer.name], lines[consumer.name], strict=True):
        pair = OutputRecord(sent, producer.name), OutputRecord(received, consumer.name)
        for fields, role in zip(pair, ("producer", "consumer"), strict=True):
            fields.choice("probe", ["ring"])
            fields.choice("role", [role])
            fields.integer("message_size", size, size)
            fields.integer("slots", slots, slots)
            mappings.add(fields.mapping())
        flows.append(_Flow(*pair, batches))
    dataset = _dataset(flows, sizes, producer.name, consumer.name)
    settled = {"nodes": [producer.name, consumer.name], "message_sizes": sizes, "offset": at}
    return measurement.result(dataset, settled, mappings, {"slots": slots, "offset": at})


class _Flow:
    """The two nodes' reports on one message size, checked against each other."""

    def __init__(self, sent: OutputRecord, received: OutputRecord, count: int) -> None:
        self.messages = sent.integer("messages", 1, _MANY)
        if (arrived := received.integer("messages", 0, _MANY)) != self.messages:
            raise ProbeError(
                f"{sent.node} sent {self.messages} messages and {received.node} received {arrived}"
            )
        measured = read_batches(received, "batch_messages", count)
        if (timed := count * measured.operations) > self.messages:
            raise ProbeError(f"{received.node} timed {timed} messages of {self.messages}")
        self.batches = measured.shared_with(sent)
        self.wrong = received.integer("wrong", 0, self.messages)
        self.failed = ""
        if self.wrong:
            first = received.integer("first_wrong", 1, self.messages)
            word = received.integer("first_word", 0, MIB // 8)
            expected, actual = received.integer("expected", 0, _U64), received.integer("found", 0, _U64)
            size = received.integer("message_size", 8, MIB)
            self.failed = (
                f"{self.wrong:,} of {self.messages:,} messages of {size} bytes were not what was sent; "
                f"the first was number {first:,}, whose word {word} was {actual:#x} instead of {expected:#x}"
            )


def _dataset(flows: list[_Flow], sizes: list[int], producer: str, consumer: str) -> xr.Dataset:
    coords = {"message_size": ("message_size", sizes, {"units": "B", "long_name": "message size"})}
    dims = ("message_size", "batch")
    rate = xr.DataArray(
        np.array([1e9 / flow.batches.ns_per_operation for flow in flows]),
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
                [flow.batches.preempted for flow in flows],
                {"long_name": "either node was preempted"},
            ),
        },
        coords={"producer": producer, "consumer": consumer, "oversubscribed": oversubscribed(2)},
    )
    for name, values, attrs in (
        ("operations", [flow.batches.operations for flow in flows], {"long_name": "messages in a batch"}),
        ("messages", [flow.messages for flow in flows], {"long_name": "messages sent and received in all"}),
        ("wrong", [flow.wrong for flow in flows], {"long_name": "messages that were not what was sent"}),
        ("timer", [flow.batches.timer_ns for flow in flows], {"units": "ns", "long_name": "a clock reading"}),
    ):
        dataset[name] = ("message_size", values, attrs)
    dataset.attrs["convention"] = "bytes are those of messages, each counted once; GB is 1e9"
    if failures := [flow.failed for flow in flows if flow.failed]:
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
        f"{dataset.attrs['mapping']}\n{host_note(dataset)}"
    )
    figure, (rate, throughput) = plots.figure(
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
    return figure


def _line(axes: Axes, values: xr.DataArray, number: int, label: str) -> None:
    sizes = values["message_size"].values
    stats = {str(name): values.sel(statistic=name).values for name in values["statistic"].values}
    look = plots.style(number)
    axes.fill_between(sizes, stats["min"], stats["p90"], color=look["color"], alpha=0.15, linewidth=0)
    axes.vlines(sizes, stats["p50_low"], stats["p50_high"], color=look["color"], linewidth=3, alpha=0.6)
    axes.plot(sizes, stats["p50"], **look, markersize=5)
    axes.set_yscale("log")
    axes.set_ylabel(label)
    plots.size_axis(axes, "message size")
    plots.plain_log(axes.yaxis)
