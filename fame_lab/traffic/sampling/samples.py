"""The data of samples."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import xarray as xr

__all__ = ["Samples"]


@dataclass(frozen=True, eq=False)
class Samples:
    """Changes in FAM during a recording.

    Parameters
    ----------
    counts : xarray.Dataset
        ``changed`` (granule): looks that saw the granule changed, of each granule that ever changed.
        With soft-dirty pages also ``changed_by`` (node, granule): looks that saw a store of the node to
        it, whatever the value. The coordinate ``granule`` is an offset in FAM [B]. ``attrs``
        has ``granule``, its size [B], and ``looks``, their number.
    timeline : xarray.Dataset
        ``changed`` (time, bin): changed granules, summed over the looks of the interval that ends at
        ``time`` [s]. Bins without any change are left out. ``attrs`` has ``bin``, their size [B].
    looks : xarray.Dataset
        By look: ``interval`` [s], the time since the look before, and ``took`` [s], its duration. ``attrs``
        has the requested interval, ``wanted`` [s]. The first look began with the recording.
    window : tuple of int
        Offset and size of the sampled part [B].
    ended : dict of str to str
        Nodes with a ``changed_by`` that ended early, and why.
    """

    counts: xr.Dataset
    timeline: xr.Dataset
    looks: xr.Dataset
    window: tuple[int, int]
    ended: dict[str, str] = field(default_factory=dict)

    def resolution(self) -> str:
        """Return the time between two looks: changes within less than that are one change, or none.

        Examples
        --------
        >>> looks = xr.Dataset({"interval": ("look", [0.1, 0.1, 0.4])}, attrs={"wanted": 0.1})
        >>> Samples(xr.Dataset(), xr.Dataset(), looks, (0, 4096)).resolution()
        'a look every 0.1 s (median of 3; 90 % within 0.34 s, longest 0.4 s; wanted 0.1 s)'
        """
        intervals = self.looks["interval"].values
        target = f"wanted {self.looks.attrs['wanted']:.3g} s"
        if not intervals.size:
            return f"no look yet ({target})"
        median, most = np.quantile(intervals, [0.5, 0.9])
        return (
            f"a look every {median:.3g} s (median of {intervals.size}; 90 % within {most:.3g} s, "
            f"longest {intervals.max():.3g} s; {target})"
        )
