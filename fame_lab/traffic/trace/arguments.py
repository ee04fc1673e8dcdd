"""The arguments of a trace, checked before it starts."""

from __future__ import annotations

import os
from pathlib import Path

from fame_lab.core.numeric import check_number
from fame_lab.core.paths import given_path
from fame_lab.core.sanitize import quoted
from fame_lab.core.sizes import format_size, parse_size
from fame_lab.errors import SpecError
from fame_lab.spec.fam_layout import CONTROL_SIZE
from fame_lab.traffic.fabric import FabricModel
from fame_lab.traffic.trace.counter_layout import FINEST_GRANULE
from fame_lab.traffic.transactions.cache import Cache
from fame_lab.traffic.transactions.felt import FeltFabric

__all__ = ["check_cache", "check_felt", "check_granule", "check_interval", "check_order"]


def check_cache(cache: object, fam_size: int) -> Cache:
    """Return the cache. Raise SpecError if it is none, or larger than FAM."""
    if not isinstance(cache, Cache):
        raise SpecError(f"cache is {quoted(cache)}", hint='give a Cache, such as Cache("1M")')
    cache.check_fits(fam_size)
    return cache


def check_felt(
    fabric: FabricModel | None, dilation: float | None, cache: Cache | None, nodes: int
) -> FeltFabric | None:
    """Return the fabric that is felt, if any. Raise SpecError if it cannot be."""
    if fabric is None:
        if dilation is not None:
            raise SpecError(f"dilation is {quoted(dilation)}, and no fabric is given", hint="give fabric=")
        return None
    if cache is None:
        raise SpecError(
            "a fabric is felt by the misses of a cache, and none is given", hint='give cache=Cache("1M")'
        )
    felt = FeltFabric(fabric, 10 if dilation is None else dilation)
    felt.latency(nodes)  # it refuses a fabric of another number of nodes
    return felt


def check_interval(interval: float) -> float:
    """Return seconds. Raise SpecError if they cannot be right."""
    return float(check_number("interval", interval, 0.01, 3600, "seconds"))


def check_order(order: str | os.PathLike[str]) -> Path:
    """Return the file's path. A wrong one is refused before the recording, not at its end."""
    path = given_path("order", order)
    if path.is_dir():
        raise SpecError(f"order is {str(path)!r}, a directory", hint="give the path of a file in it")
    if not path.absolute().parent.is_dir():
        raise SpecError(f"order is {str(path)!r}: there is no directory {str(path.absolute().parent)!r}")
    return path


def check_granule(granule: int | str, book: int) -> int:
    """Return bytes. Raise SpecError if they cannot be right."""
    size, most = parse_size(granule, "granule"), min(book, CONTROL_SIZE)
    if size & (size - 1) or not FINEST_GRANULE <= size <= most:
        raise SpecError(
            f"granule is {quoted(granule)}",
            hint=f"give a power of two from {FINEST_GRANULE} bytes to {format_size(most)}",
        )
    return size
