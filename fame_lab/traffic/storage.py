"""A recording in a directory, as NetCDF and JSON. Whatever is read is checked first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from fame_lab.core.paths import given_path
from fame_lab.errors import TrafficError
from fame_lab.results.storage import BROKEN, check_digest, check_size, digest, save_directory
from fame_lab.traffic.validation import check_sums

if TYPE_CHECKING:
    import os

    from fame_lab.traffic.data import TrafficData

__all__ = ["load", "save"]

_FORMAT = 1
_DATASETS = {"counts": "counts.nc", "timeline": "timeline.nc"}
_MANIFEST = "manifest.json"
_TOLD = ("spec", "source", "window", "manifest", "ended")


def save(traffic: TrafficData, directory: str | os.PathLike[str]) -> Path:
    """Write it: see :meth:`fame_lab.traffic.views.TrafficViews.save`."""

    def write(place: Path) -> None:
        for name, file in _DATASETS.items():
            dataset: xr.Dataset = getattr(traffic, name)
            encoding: dict[Any, dict[str, Any]] = {each: {"_FillValue": None} for each in dataset.coords}
            for each, values in dataset.data_vars.items():
                encoding[each] = {"zlib": True, "complevel": 1} if values.size else {}
            dataset.to_netcdf(place / file, engine="h5netcdf", encoding=encoding)
        told = {
            "format": _FORMAT,
            **{name: getattr(traffic, name) for name in _TOLD},
            "sha256": {file: digest(place / file) for file in _DATASETS.values()},
        }
        (place / _MANIFEST).write_text(json.dumps(told, indent=2) + "\n")

    return save_directory(directory, {*_DATASETS.values(), _MANIFEST}, write, "saved traffic")


def load(directory: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what a Traffic is made of.

    Raises
    ------
    TrafficError
        If it is not there, or cannot be read. Whether it fits together, Traffic itself checks.
    """
    place = given_path("directory", directory)
    try:
        told = json.loads((place / _MANIFEST).read_text())
        if not isinstance(told, dict) or told.get("format") != _FORMAT:
            raise ValueError(f"{_MANIFEST} is not of format {_FORMAT}")
        if missing := [name for name in (*_TOLD, "sha256") if name not in told]:
            raise ValueError(f"{_MANIFEST} has no {missing[0]}")
        parts = {name: told[name] for name in _TOLD}
        if isinstance(parts["window"], list):
            parts["window"] = tuple(parts["window"])
        for name, file in _DATASETS.items():
            check_digest(place / file, told["sha256"][file])
            parts[name] = _read(place / file)
    except BROKEN as error:
        raise TrafficError(f"{str(place)!r} holds no traffic that can be read: {error}") from error
    return parts


def _read(path: Path) -> xr.Dataset:
    check_size(path)
    # Undecoded: nothing in the file says how its numbers are to be changed.
    with xr.open_dataset(path, engine="h5netcdf", decode_cf=False, phony_dims="access") as opened:
        dataset = opened.load()
    for name in ("op", "node"):
        if name in dataset.coords:
            dataset = dataset.assign_coords({name: np.array(dataset[name].values.tolist(), dtype=str)})
    check_sums(dataset)
    return dataset
