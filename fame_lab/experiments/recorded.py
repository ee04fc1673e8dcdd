"""Results of real runs that ship with the package, for where no virtual machine can start.

They were measured on another host, on another day, and say so for good: the label is in the manifest, which
is saved and loaded with the numbers. ``tests/benchmarks/record.py`` makes them anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fame_lab.core.sanitize import quoted
from fame_lab.errors import SpecError

if TYPE_CHECKING:
    from fame_lab.results.result import Result
    from fame_lab.traffic.traffic import Traffic

__all__ = ["recorded", "recorded_names", "recorded_traffic"]

_PLACE = Path(__file__).parent.parent / "recorded"


def recorded(name: str) -> Result:
    """Return a result that was measured elsewhere; see :func:`recorded_names`.

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
    """Return a trace of four nodes that was recorded elsewhere, of the workloads' accesses to FAM.

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


def _find(name: str) -> Path:
    # Only names that are listed are ever looked for, whatever is asked.
    if name not in recorded_names():
        raise SpecError(f"nothing is recorded as {quoted(name)}; there are {', '.join(recorded_names())}")
    return _PLACE / name
