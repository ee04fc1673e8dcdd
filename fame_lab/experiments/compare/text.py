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
    """Return the differences of the manifests, then sums, then each row that differs."""
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
    """Return the hosts' waits for a CPU, as far as these are known."""
    shares = comparison.host_cpu_wait
    if all(share != share for share in shares):
        return []
    text = " | ".join("unknown" if share != share else f"{share:.0%}" for share in shares)
    return [f"programs of the host waited for a CPU up to {text} of the time"]


def verdict(comparison: ComparisonData) -> str:
    """Return in a line the number of rows by verdict."""
    if not comparison.rows:
        return "nothing is compared: they have no measurement in common"
    counts = comparison.verdicts
    return (
        f"{counts['agrees']:,} agree, {counts['differs']:,} differ, "
        f"{counts['too few']:,} have too few batches to tell"
    )


def summary_lines(rows: Sequence[Row], most: int) -> Iterator[str]:
    """Yield a line for each quantity of each result; beyond `most`, only for those that do not all agree."""
    groups: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.result, row.quantity, row.units].append(row)
    for (result, quantity, units), group in groups.items():
        counts = Counter(row.verdict for row in group)
        if len(groups) > most and set(counts) == {"agrees"}:
            continue
        summary = ", ".join(f"{counts[each]:,} {_PLURAL[each]}" for each in _PLURAL if counts[each])
        yield plain(f"{result} {_called(quantity)}{f' [{units}]' if units else ''}: {summary}", keep="")


_PLURAL = {"agrees": "agree", "differs": "differ", "too few": "too few"}


def _called(quantity: str) -> str:
    """Return a quantity's name; a flag is put in words."""
    return "failed or not" if quantity == "failed" else quantity


def worst(rows: Sequence[Row]) -> list[Row]:
    """Return the rows that differ: counts first, then the largest ratios, either way."""
    return sorted(
        (row for row in rows if row.verdict == "differs"), key=lambda row: (row.kind != "exact", -row.factor)
    )


def row_in_words(row: Row) -> str:
    """Return one row in words."""
    where = f" at {row.place}" if row.at else ""
    text = f"{row.result} {_called(row.quantity)}{where}: {row.a:,.6g} | {row.b:,.6g} {row.units}".rstrip()
    if row.kind == "exact":
        return plain(f"{text} (exact)", keep="")
    if row.low == row.low:
        text += f", ratio {row.ratio:.3g} ({row.low:.3g} to {row.high:.3g})"
    return plain(f"{text}, n = {row.n_a} | {row.n_b}", keep="")


def _listed(head: str, lines: Sequence[str]) -> list[str]:
    if not lines:
        return []
    more = [f"  and {len(lines) - _MAX_ROWS:,} more"] if len(lines) > _MAX_ROWS else []
    return [head, *(f"  {line}" for line in lines[:_MAX_ROWS]), *more]
