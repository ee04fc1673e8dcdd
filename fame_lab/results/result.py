"""The result of a probe: labelled data and its manifest."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from fame_lab.core import above
from fame_lab.core.paths import given_path
from fame_lab.errors import SpecError
from fame_lab.results.provenance import label
from fame_lab.results.result_html import result_html
from fame_lab.results.storage import BROKEN, check_digest, check_size, digest, save_directory

if TYPE_CHECKING:
    import os

    from matplotlib.figure import Figure

__all__ = ["Result"]

_FORMAT = 1
_DATASET = "dataset.nc"
_MANIFEST = "manifest.json"


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """A probe's data and its provenance. It can be saved, loaded and drawn without a lab.

    Parameters
    ----------
    probe : str
        The probe that measured it.
    dataset : xarray.Dataset
        The measurements, every batch of them, with named dimensions and units in ``attrs``.
    manifest : dict
        The numbers' provenance: see :meth:`fame_lab.Lab.manifest`. Values that JSON can hold.
    """

    probe: str
    dataset: xr.Dataset
    manifest: dict[str, Any]

    @property
    def failed(self) -> str:
        """An event that must not happen and did, such as a lost update or a forbidden outcome; else empty."""
        return str(self.dataset.attrs.get("failed", ""))

    def plot(self) -> Figure:
        """Draw the figure of the probe that measured it."""
        figure: Figure = above.load("probes").plot(self)
        return figure

    def save(self, directory: str | os.PathLike[str]) -> Path:
        """Save the data as NetCDF and the manifest as JSON.

        Parameters
        ----------
        directory : path
            It is created if need be. One that holds an earlier result is replaced as a whole.

        Returns
        -------
        Path
            The directory.

        Raises
        ------
        SpecError
            If it holds something else.
        HostError
            If it cannot be written. An earlier result stays then.
        """
        return save_directory(directory, {_DATASET, _MANIFEST}, self._write, "a result")

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> Result:
        """Load a result that :meth:`save` saved.

        Parameters
        ----------
        directory : path

        Returns
        -------
        Result

        Raises
        ------
        SpecError
            If there is no result, or this version cannot read it.
        """
        place = given_path("directory", directory)
        try:
            fields = json.loads((place / _MANIFEST).read_text())
            if not isinstance(fields, dict) or fields.get("format") != _FORMAT:
                raise ValueError(f"{_MANIFEST} is not of format {_FORMAT}")
            probe, manifest = fields.get("probe"), fields.get("manifest")
            if not isinstance(probe, str) or not isinstance(manifest, dict):
                raise ValueError(f"{_MANIFEST} names no probe, or has no manifest")
            if "sha256" in fields:
                check_digest(place / _DATASET, fields["sha256"])
            check_size(place / _DATASET)
            dataset = xr.load_dataset(place / _DATASET, engine="h5netcdf")
        except BROKEN as error:
            raise SpecError(f"{str(place)!r} holds no result that can be read: {error}") from error
        return cls(probe, dataset, manifest)

    def _write(self, place: Path) -> None:
        self.dataset.to_netcdf(place / _DATASET, engine="h5netcdf")
        fields = {"format": _FORMAT, "probe": self.probe, "manifest": self.manifest}
        fields["sha256"] = digest(place / _DATASET)
        (place / _MANIFEST).write_text(json.dumps(fields, indent=2) + "\n")

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name}: {size}" for name, size in self.dataset.sizes.items())
        measured = ", ".join(
            f"{name} [{variable.attrs['units']}]"
            for name, variable in self.dataset.data_vars.items()
            if "units" in variable.attrs
        )
        failed = f" FAILED: {self.failed}" if self.failed else ""
        recorded = f", {origin}" if (origin := label(self.manifest)) else ""
        return f"<Result of {self.probe!r} ({sizes}): {measured}{recorded}>{failed}"

    def _repr_html_(self) -> str:
        return result_html(self.probe, self.dataset, self.manifest)
