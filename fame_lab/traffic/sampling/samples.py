"""The data of samples."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import xarray as xr

__all__ = ["Samples"]


@dataclass(frozen=True, eq=False)
class Samples:
    """What changed in FAM while it was watched.

    Parameters
    ----------
    counts : xarray.Dataset
        ``changed`` (granule): looks in which the granule had changed since the look before, for each that
        ever had. Of soft-dirty pages also ``changed_by`` (node, granule): looks in which the node had
        stored to it, whatever the value. The coordinate ``granule`` is an offset in FAM; ``attrs`` has
        its size, ``granule``, and ``looks``, how many there were.
    timeline : xarray.Dataset
        ``changed`` (time, bin): granules that had changed, summed over the looks of the interval that ends
        at ``time`` [s]; bins in which nothing ever changed are left out. ``attrs`` has ``bin``, their size.
    looks : xarray.Dataset
        ``interval`` and ``took`` (look) [s]: since the look before, and how long it was. ``attrs`` has the
        interval that was ``wanted``. Its first look began with the recording.
    window : tuple of int
        Offset and size of what was watched.
    ended : dict of str to str
        Nodes whose ``changed_by`` ended early, and why.
    """

    counts: xr.Dataset
    timeline: xr.Dataset
    looks: xr.Dataset
    window: tuple[int, int]
    ended: dict[str, str] = field(default_factory=dict)
    source: str = "samples"

    def resolution(self) -> str:
        """Return what is between two looks: what happens in less than that is one change, or none.

        Examples
        --------
        >>> looks = xr.Dataset({"interval": ("look", [0.1, 0.1, 0.4])}, attrs={"wanted": 0.1})
        >>> Samples(xr.Dataset(), xr.Dataset(), looks, (0, 4096)).resolution()
        'a look every 0.1 s (median of 3; 90 % within 0.34 s, longest 0.4 s; wanted 0.1 s)'
        """
        intervals = self.looks["interval"].values
        wanted = f"wanted {self.looks.attrs['wanted']:.3g} s"
        if not intervals.size:
            return f"no look yet ({wanted})"
        median, most = np.quantile(intervals, [0.5, 0.9])
        return (
            f"a look every {median:.3g} s (median of {intervals.size}; 90 % within {most:.3g} s, "
            f"longest {intervals.max():.3g} s; {wanted})"
        )
