"""The size of this host's last-level cache, from which the default working sets follow."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["last_cache"]

_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


def last_cache() -> int | None:
    """Return the bytes of the highest level of cache that holds data; None where Linux does not tell.

    It is the cache that the first CPU can use, which on a virtual machine may be the whole chip's.
    """
    sizes = {}
    for index in _CACHES.glob("index[0-9]*"):
        try:
            kind, level, size = ((index / name).read_text().strip() for name in ("type", "level", "size"))
        except OSError:  # some firmware omits one
            continue
        match = re.fullmatch(r"([0-9]+)K", size)
        if kind in ("Data", "Unified") and level.isdecimal() and match:
            sizes[int(level)] = int(match[1]) << 10
    return sizes[max(sizes)] if sizes else None
