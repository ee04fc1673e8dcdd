"""Results as the command line prints them: for a reader, or as JSON for a program."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from fame_lab.core.sanitize import plain
from fame_lab.core.sizes import format_size
from fame_lab.errors import FameError

if TYPE_CHECKING:
    from fame_lab.guest.ssh.run_result import RunResult
    from fame_lab.lab.inventory import LabStatus
    from fame_lab.traffic.traffic import Traffic
    from fame_lab.traffic.transactions.cache import Cache

__all__ = [
    "lab_as_dict",
    "lab_row",
    "log_lines",
    "runs_as_dict",
    "show_runs",
    "show_table",
    "traffic_as_dict",
    "traffic_in_words",
]

#: Lines that are falsely shared, of which more are only counted.
_MAX_LINES = 10


def runs_as_dict(outcome: dict[str, RunResult | FameError]) -> dict[str, Any]:
    """Return what each node said, or the error that it came to."""
    said = ("stdout", "stderr", "exit_status", "seconds")
    return {
        name: {"error": str(result)}
        if isinstance(result, FameError)
        else {field: getattr(result, field) for field in said}
        for name, result in outcome.items()
    }


def show_runs(outcome: dict[str, RunResult | FameError]) -> None:
    """Print what each node said, line by line with its name."""
    for name, result in outcome.items():
        if isinstance(result, FameError):
            print(plain(str(result)), file=sys.stderr)
            continue
        for text, stream in ((result.stdout, sys.stdout), (result.stderr, sys.stderr)):
            for line in text.splitlines():
                print(f"{name}: {plain(line) if stream.isatty() else line}", file=stream)
        if result.exit_status:
            print(f"{name}: exit status {result.exit_status}", file=sys.stderr)


def traffic_as_dict(traffic: Traffic) -> dict[str, Any]:
    """Return the sums of a trace, as lists by initiator and home."""
    sums: dict[str, Any] = {
        "nodes": list(traffic.nodes),
        "remote_share": _number(float(traffic.remote_share()["overall"])),
        "ended": traffic.ended,
        "order": traffic.manifest.get("order"),
    }
    for what in ("accesses", "bytes"):
        matrix = traffic.matrix(what)
        sums[what] = {op: matrix.sel(op=op).values.tolist() for op in ("load", "store")}
    if traffic.cache is not None:
        sums["cache"] = traffic.cache.to_dict()
        for counts in (traffic.transactions(), traffic.misses()):
            dimension = counts.dims[0]
            names = counts[dimension].values.tolist()
            sums[str(counts.name)] = {name: counts.sel({dimension: name}).values.tolist() for name in names}
        sums["invalidations"] = traffic.invalidations().values.tolist()
        sums["false_sharing"] = traffic.false_sharing().to_dict("records")
    return sums


def traffic_in_words(traffic: Traffic) -> str:
    """Return the matrices of a trace as tables."""
    matrix = traffic.matrix()
    parts = [
        f"{op}s by initiator (down) and home (across), traced:\n{matrix.sel(op=op).to_pandas().to_string()}"
        for op in ("load", "store")
    ]
    share = float(traffic.remote_share()["overall"])
    parts.append("nothing was accessed" if math.isnan(share) else f"{share:.1%} of it remote")
    if traffic.cache is not None:
        parts += _transactions_in_words(traffic, traffic.cache)
    parts += [f"{node} did not count to the end: {why}" for node, why in traffic.ended.items()]
    if order := traffic.manifest.get("order"):
        losses = sum(order["lost"].values())
        parts.append(f"{order['file']}: {order['accesses']:,} accesses in their order, {losses:,} lost")
    return "\n".join(parts)


def _transactions_in_words(traffic: Traffic, cache: Cache) -> list[str]:
    """Return transactions and misses as tables, and the first lines that are falsely shared."""
    transactions, misses = (
        each.sum("home").to_pandas() for each in (traffic.transactions(), traffic.misses())
    )
    parts = [
        f"transactions by initiator, of a {cache.describe()}:\n{transactions.to_string()}",
        f"misses by initiator:\n{misses.to_string()}",
    ]
    lines = traffic.false_sharing()
    if len(lines):
        lines["offset"] = [f"{offset:#x}" for offset in lines["offset"]]
        more = f"\nand {len(lines) - _MAX_LINES} lines more" if len(lines) > _MAX_LINES else ""
        parts.append(f"false sharing:\n{lines[:_MAX_LINES].to_string(index=False)}{more}")
    return parts


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def show_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows of words below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip())


def lab_row(entry: LabStatus) -> tuple[str, str, str, str]:
    """Return a lab's name, nodes, FAM and state for a table."""
    states = list(entry.states.values())
    state = ", ".join(f"{states.count(each)} {each}" for each in sorted(set(states)))
    if entry.is_orphan:
        what = f"{state}, its owner was killed" if entry.is_whole else "left behind"
        state = f"{what}; fame-lab down --orphans"
    fam = "?" if entry.spec is None else format_size(entry.spec.fam_size)
    return entry.name, str(len(states)) if states else "?", fam, state


#: What `owner` was called before 0.2, by the key "standing": kept for one release.
_STANDING = {"owned": "used", "orphaned": "forsaken", "detached": "nobody's"}


def lab_as_dict(entry: LabStatus) -> dict[str, Any]:
    """Return a lab for a program."""
    spec = None if entry.spec is None else entry.spec.to_dict()
    return {
        "name": entry.name,
        "nodes": entry.states,
        "orphan": entry.is_orphan,
        "owner": entry.owner_state,
        "standing": _STANDING[entry.owner_state],
        "spec": spec,
    }


def log_lines() -> Callable[[str], None] | None:
    """Return what writes a line a cell into a log, so that a later reader knows which one took so long."""

    def write(stage: str) -> None:
        print(stage, file=sys.stderr, flush=True)

    return None if sys.stderr.isatty() else write
