"""A snapshot of a running recording: few numbers, quickly read, for a live picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fame_lab.spec.fam_layout import ControlArea
from fame_lab.traffic.aggregation import by_home
from fame_lab.traffic.transactions.aggregation import CARRYING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fame_lab.spec.fam_layout import Books
    from fame_lab.traffic.trace.counters import Counters
    from fame_lab.traffic.traffic import Traffic
    from fame_lab.traffic.transactions.counting import TransactionCounts

__all__ = ["BINS", "Snapshot", "of_counters", "of_traffic"]

#: FAM's address space is shown in this many bins at most.
BINS = 256


@dataclass(frozen=True)
class Snapshot:
    """The numbers of a live picture of a recording.

    Parameters
    ----------
    nodes : tuple of str
    matrix : ndarray of uint64, shape (op, initiator, home), optional
        Accesses so far; None of samples, which have no author.
    heat : ndarray, shape (row, bin)
        Of a trace the accesses of each node so far; of samples, in one row, the number of changes.
    bin_size : int
        Bytes of FAM in a bin.
    lines : ndarray of uint64, shape (initiator, home), optional
        Lines that moved on the fabric so far; None of a recording without a cache.
    """

    nodes: tuple[str, ...]
    matrix: npt.NDArray[np.uint64] | None
    heat: npt.NDArray[Any]
    bin_size: int
    lines: npt.NDArray[np.uint64] | None = None


def of_counters(
    counters: Mapping[str, Counters], books: Books, transactions: TransactionCounts | None = None
) -> Snapshot:
    """Read every node's counts by book, and reduce them.

    Parameters
    ----------
    counters : mapping of str to Counters
        By the node's name, in order.
    books : Books
    transactions : TransactionCounts, optional
    """
    tallies = [each.books() for each in counters.values()]
    by_book = np.array([[each["loads"] for each in tallies], [each["stores"] for each in tallies]])
    begins = np.arange(books.count) * books.book
    # Small books may lie in the control area as a whole: they have no home, and no counts.
    users = begins < ControlArea(books.fam_size).offset
    homes = books.homes(begins[users])
    of_users = by_book[..., users]
    matrix = by_home(of_users, homes, books.nodes)
    lines = None
    if transactions is not None:
        counts = transactions.books()
        moved = sum((counts[kind] for kind in CARRYING), np.zeros(counts.shape, np.uint64))
        lines = by_home(moved[:, users], homes, books.nodes)
    bins = min(books.count, BINS)
    heat = by_book.sum(axis=0).reshape(len(tallies), bins, -1).sum(axis=-1)
    return Snapshot(tuple(counters), matrix, heat, books.fam_size // bins, lines)


def of_traffic(traffic: Traffic) -> Snapshot:
    """Reduce all counts, when there is time for it."""
    books = traffic.books
    bins = min(books.count, BINS)
    size = books.fam_size // bins
    place = traffic.counts["granule"].values // size
    if traffic.source == "trace":
        values = traffic.counts["accesses"].sum("op").values
        matrix = traffic.matrix().values
    else:
        values, matrix = traffic.counts["changed"].values[np.newaxis], None
    heat = np.zeros((len(values), bins), np.uint64)
    for row, each in zip(heat, values, strict=True):
        np.add.at(row, place, each.astype(np.uint64))
    lines = None
    if traffic.cache is not None:
        lines = traffic.transactions().sel(kind=list(CARRYING)).sum("kind").values
    return Snapshot(traffic.nodes, matrix, heat, size, lines)
