"""The origin of numbers on one line: the label of those that were recorded elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fame_lab.core.sanitize import plain

__all__ = ["label", "labelled"]

_KEY = "recorded"


def labelled(manifest: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a manifest with the permanent label of recorded data."""
    return {**manifest, _KEY: {"as": name, "why": "shipped with fame_lab, to be looked at without a lab"}}


def label(manifest: Mapping[str, Any]) -> str:
    """Return a line with date and CPU of recorded numbers; empty if they are not recorded.

    Examples
    --------
    >>> label({"recorded": {"as": "chase"}, "time": "2025-03-04T05:06:07+00:00", "host": {"cpu": "A CPU"}})
    'recorded 2025-03-04 on A CPU, not measured here'
    >>> label({"time": "2025-03-04T05:06:07+00:00"})
    ''
    """
    if not manifest.get(_KEY):
        return ""
    # The manifest may come from anywhere.
    host, time = manifest.get("host"), str(manifest.get("time", ""))[:10]
    cpu = host.get("cpu", "") if isinstance(host, Mapping) else ""
    words = [_KEY, time, f"on {str(cpu)[:60]}" if cpu else ""]
    return plain(f"{' '.join(word for word in words if word)}, not measured here", keep="")
