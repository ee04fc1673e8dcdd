"""Results of real runs that ship with the package, for where no virtual machine can start.

They were measured on another host, on another day, and say so for good: the label is in the manifest, which
is saved and loaded with the numbers. ``tests/benchmarks/record.py`` makes them anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fame_lab.core.sanitize import plain, quoted
from fame_lab.errors import SpecError

if TYPE_CHECKING:
    from fame_lab.results.result import Result
    from fame_lab.traffic.traffic import Traffic

__all__ = ["label", "labelled", "recorded", "recorded_names", "recorded_traffic"]

_PLACE = Path(__file__).parent.parent / "recorded"
_KEY = "recorded"


def recorded(name: str) -> Result:
    """Give a result that was measured elsewhere; see :func:`recorded_names`.

    Parameters
    ----------
    name : str
        The probe that measured it, such as ``"chase"``.

    Returns
    -------
    Result
        Its plot, its representations and its manifest say that it is recorded, when, and on what.

    Raises
    ------
    SpecError
        If there is none of that name; it lists what there is.

    Examples
    --------
    >>> import fame_lab
    >>> chase = fame_lab.recorded("chase")
    >>> chase.dataset["latency_summary"].attrs["units"]
    'ns'
    >>> chase.manifest["recorded"]["as"]
    'chase'
    """
    from fame_lab.results.result import Result  # with it comes xarray, which a list of names does not need

    if name == "traffic":
        raise SpecError("'traffic' is a recording and no result: fame_lab.recorded_traffic() gives it")
    return Result.load(_find(name))


def recorded_traffic() -> Traffic:
    """Give a trace of four nodes that was recorded elsewhere, of the workloads' accesses to FAM.

    Returns
    -------
    Traffic
        Labelled as :func:`recorded` labels a result.

    Examples
    --------
    >>> import fame_lab
    >>> fame_lab.recorded_traffic().matrix("bytes").sizes["initiator"]
    4
    """
    from fame_lab.traffic.traffic import Traffic  # with it comes xarray

    return Traffic.load(_find("traffic"))


def recorded_names() -> list[str]:
    """List what there is: probes, and ``traffic``.

    Examples
    --------
    >>> "chase" in recorded_names()
    True
    """
    return sorted(each.name for each in _PLACE.iterdir() if (each / "manifest.json").is_file())


def labelled(manifest: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Give a manifest with the label of recorded data, for good."""
    return {**manifest, _KEY: {"as": name, "why": "shipped with fame_lab, to be looked at without a lab"}}


def label(manifest: Mapping[str, Any]) -> str:
    """Say in a line that numbers are recorded, when and on what; empty if they are not.

    Examples
    --------
    >>> label({"recorded": {"as": "chase"}, "time": "2025-03-04T05:06:07+00:00", "host": {"cpu": "A CPU"}})
    'recorded 2025-03-04 on A CPU, not measured here'
    >>> label({"time": "2025-03-04T05:06:07+00:00"})
    ''
    """
    if not manifest.get(_KEY):
        return ""
    # It may have been loaded from anywhere.
    host, time = manifest.get("host"), str(manifest.get("time", ""))[:10]
    cpu = host.get("cpu", "") if isinstance(host, Mapping) else ""
    words = [_KEY, time, f"on {str(cpu)[:60]}" if cpu else ""]
    return plain(f"{' '.join(word for word in words if word)}, not measured here", keep="")


def _find(name: str) -> Path:
    # Only names that are listed are ever looked for, whatever is asked.
    if name not in recorded_names():
        raise SpecError(f"nothing is recorded as {quoted(name)}; there are {', '.join(recorded_names())}")
    return _PLACE / name
