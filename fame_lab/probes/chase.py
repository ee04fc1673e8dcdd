"""Pointer chase: the latency of a load that waits for the one before it, in DRAM beside FAM.

Each 64-byte line of a working set holds the address of the next, in one random cycle through all of
them, so that no prefetcher guesses it. What grows with the working set is the way through the caches
and the TLB; both memories are mapped in 4 KiB pages, so that the TLB is the same for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from fame_lab import plots
from fame_lab.probes import sweeps
from fame_lab.probes.batches import check_batches, summary
from fame_lab.probes.contention import Contention
from fame_lab.probes.places import MEMORIES, check_memories, check_seed, choose_sizes, fam_words, find_node
from fame_lab.results import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fame_lab.lab import Lab

__all__ = ["plot", "run"]


def run(
    lab: Lab,
    *,
    node: int | str = 0,
    memories: Sequence[str] = MEMORIES,
    working_sets: Sequence[int | str] | None = None,
    offset: int | str = 0,
    mapping: str = "uc",
    seed: int = 1,
    batches: int = 50,
    batch_ms: float = 1.0,
    timeout: float = 120.0,
) -> Result:
    """Measure load-to-use latency on one node. Overwrites the largest working set from `offset` on in FAM.

    Parameters
    ----------
    lab : Lab
    node : int or str
        The node that measures: its number, from 0, or its name.
    memories : sequence of {"dram", "fam"}
    working_sets : sequence of int or str, optional
        Bytes, multiples of 64; by default powers of four from 4 KiB to 16 MiB, as far as FAM has room.
    offset : int or str
        Where in FAM, a multiple of 64.
    mapping : {"uc", "wc", "wb"}
        How the CPU is asked to treat FAM.
    seed : int
        Of the cycle. The same seed gives the same order of lines.
    batches : int
        How many timed batches for each working set, from 30 to 1000.
    batch_ms : float
        Milliseconds that a batch lasts at least, from 1 to 1000.
    timeout : float
        Seconds for all working sets of one memory.

    Returns
    -------
    Result
        ``latency`` [ns] of one load and ``preempted`` (memory, working_set, batch), ``latency_summary``
        (statistic, memory, working_set), ``operations`` (loads in a batch), ``timer``.

    Raises
    ------
    SpecError
        If a parameter cannot be right.
    ProbeError, CommandError
        If the node cannot measure it, for want of memory for example.
    """
    asked = check_batches(batches, batch_ms)
    chosen = check_memories(memories)
    at, sizes = choose_sizes(lab, working_sets, offset, multiple=64)
    measuring = find_node(lab, node)
    command = ["chase", "--seed", str(check_seed(seed)), *asked, *fam_words(mapping)]
    with Contention() as contention:
        rows = [
            sweeps.sweep(measuring, command, each, at, sizes, "loads", batches, timeout) for each in chosen
        ]
    latency, beside = sweeps.labelled(
        np.array([[cell.ns_per_operation for cell in row.batches] for row in rows]),
        rows,
        sizes,
        units="ns",
        long_name="latency of a dependent load",
    )
    effective = sweeps.mapping(rows)
    dataset = xr.Dataset({"latency": latency, "latency_summary": summary(latency), **beside})
    dataset.attrs = {"node": measuring.name, "offset": at, "seed": seed, "mapping": effective}
    dataset.attrs["host_cpu_wait"] = contention.share
    parameters = {
        "node": measuring.name, "memories": chosen, "working_sets": sizes, "offset": at,
        "mapping": mapping, "batches": batches, "batch_ms": batch_ms,
    }  # fmt: skip
    told = {"probe": "chase", "parameters": parameters, "seed": seed, "mapping": effective}
    return Result("chase", dataset, lab.manifest() | told)


def plot(result: Result) -> Figure:
    """Draw latency over the working set, a line a memory."""
    dataset = result.dataset
    made, (axes,) = plots.figure(
        f"Pointer chase on {dataset.attrs['node']}: latency of a dependent load",
        result.manifest,
        sweeps.note(dataset),
    )
    sweeps.draw(axes, dataset["latency_summary"])
    axes.set_yscale("log")
    axes.set_ylabel("latency of a load [ns]")
    plots.plain_log(axes.yaxis)
    axes.legend(frameon=False)
    return made
