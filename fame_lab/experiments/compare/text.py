"""A comparison as text: the difference of the manifests comes before any number."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from fame_lab.core.sanitize import plain

if TYPE_CHECKING:
    from fame_lab.experiments.compare.data import ComparisonData
    from fame_lab.experiments.compare.verdicts import Row

__all__ = ["busy", "row_in_words", "summary_lines", "to_text", "verdict", "worst"]

_MAX_ROWS = 20


def to_text(comparison: ComparisonData) -> str:
    """Write what differs in how they were made, then sums, then each row that differs."""
    lines = [plain(f"a: {comparison.a}\nb: {comparison.b}", keep="\n")]
    lines += _listed("made differently (a | b):", [str(each) for each in comparison.differs])
    if not comparison.differs:
        lines.append("made alike, as far as the manifests tell")
    for which, names in comparison.only.items():
        lines += _listed(f"only in {which}:", names)
    lines += ["", *comparison.kinds, *busy(comparison), verdict(comparison)]
    lines += [f"  {line}" for line in summary_lines(comparison.rows, _MAX_ROWS)]
    differing = worst(comparison.rows)
    lines += _listed("what differs:", [row_in_words(row) for row in differing])
    return "\n".join(lines)


def busy(comparison: ComparisonData) -> list[str]:
    """Return how busy the hosts were, as far as that is known."""
    shares = comparison.host_cpu_wait
    if all(share != share for share in shares):
        return []
    told = " | ".join("unknown" if share != share else f"{share:.0%}" for share in shares)
    return [f"programs of the host waited for a CPU up to {told} of the time"]


def verdict(comparison: ComparisonData) -> str:
    """Return in a line how many rows came to what."""
    if not comparison.rows:
        return "nothing is compared: they have no measurement in common"
    counted = comparison.verdicts
    return (
        f"{counted['agrees']:,} agree, {counted['differs']:,} differ, "
        f"{counted['too few']:,} have too few batches to tell"
    )


def summary_lines(rows: Sequence[Row], most: int) -> Iterator[str]:
    """Write a line for each quantity of each result; of more than `most`, for those that do not all agree."""
    held: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        held[row.result, row.quantity, row.units].append(row)
    for (result, quantity, units), of_it in held.items():
        counted = Counter(row.verdict for row in of_it)
        if len(held) > most and set(counted) == {"agrees"}:
            continue
        came = ", ".join(f"{counted[each]:,} {_PLURAL[each]}" for each in _PLURAL if counted[each])
        yield plain(f"{result} {_called(quantity)}{f' [{units}]' if units else ''}: {came}", keep="")


_PLURAL = {"agrees": "agree", "differs": "differ", "too few": "too few"}


def _called(quantity: str) -> str:
    """Return what a flag says of the result."""
    return "failed or not" if quantity == "failed" else quantity


def worst(rows: Sequence[Row]) -> list[Row]:
    """Return those that differ: counts first, then the largest ratios, either way."""
    found = [row for row in rows if row.verdict == "differs"]
    return sorted(found, key=lambda row: (row.kind != "exact", -row.factor))


def row_in_words(row: Row) -> str:
    """Write one row."""
    where = f" at {row.place}" if row.at else ""
    told = f"{row.result} {_called(row.quantity)}{where}: {row.a:,.6g} | {row.b:,.6g} {row.units}".rstrip()
    if row.kind == "exact":
        return plain(f"{told} (exact)", keep="")
    if row.low == row.low:
        told += f", ratio {row.ratio:.3g} ({row.low:.3g} to {row.high:.3g})"
    return plain(f"{told}, n = {row.n_a} | {row.n_b}", keep="")


def _listed(head: str, lines: Sequence[str]) -> list[str]:
    if not lines:
        return []
    more = [f"  and {len(lines) - _MAX_ROWS:,} more"] if len(lines) > _MAX_ROWS else []
    return [head, *(f"  {line}" for line in lines[:_MAX_ROWS]), *more]
