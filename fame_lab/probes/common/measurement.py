"""A measurement: its time, the host's load meanwhile, and the result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from fame_lab.probes.common.host_contention import Contention
from fame_lab.results.result import Result

if TYPE_CHECKING:
    import xarray as xr

    from fame_lab.host.target import TargetLab
__all__ = ["Measurement"]


class Measurement(Contention):
    """The time in which a probe's program runs; afterwards it makes the result.

    Parameters
    ----------
    lab : Lab
    probe : str
        Its name.
    """

    def __init__(self, lab: TargetLab, probe: str) -> None:
        self._lab = lab
        self._probe = probe

    def result(
        self,
        dataset: xr.Dataset,
        settled: Mapping[str, Any],
        mappings: Iterable[str],
        attrs: Mapping[str, Any],
        *,
        failed: str | None = None,
        seed: int | None = None,
        **fields: Any,
    ) -> Result:
        """Return the result of a dataset.

        Parameters
        ----------
        dataset : Dataset
            It gets attributes: ``mapping``, ``host_cpu_wait``, and the following.
        settled : mapping
            The parameters whose values are not those that ``run`` got: nodes by name, and what it chose.
        mappings : iterable of str
            The kernel's effective memory type of FAM, of each node that reported it.
        attrs : mapping
            Where and how it was measured: ``offset`` and whatever the probe has besides.
        failed : str, optional
            What should not have happened and did, for a probe that checks.
        seed : int, optional
        **fields
            What else is to be in the manifest.

        Returns
        -------
        Result
        """
        mapping = " and ".join(sorted(set(mappings)))
        seeded = {} if seed is None else {"seed": seed}
        dataset.attrs |= dict(attrs) | seeded | {"mapping": mapping, "host_cpu_wait": self.share}
        if failed is not None:
            dataset.attrs["failed"] = failed
        entries = {"probe": self._probe, "parameters": dict(settled), "mapping": mapping}
        return Result(self._probe, dataset, self._lab.manifest() | entries | seeded | fields)
