"""A recording in a directory, as NetCDF and JSON. Whatever is read is checked first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from fame_lab.core.numeric import as_python
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
#: Of a recording with a cache alone.
_CACHES = "caches.nc"
#: Dimensions with words for labels.
_WORDS = ("op", "node", "kind", "cause", "initiator", "victim")
_MANIFEST = "manifest.json"
_FIELDS = ("spec", "source", "window", "manifest", "ended")


def save(traffic: TrafficData, directory: str | os.PathLike[str]) -> Path:
    """Save a recording: see :meth:`fame_lab.traffic.views.TrafficViews.save`."""
    datasets: dict[str, xr.Dataset] = {file: getattr(traffic, name) for name, file in _DATASETS.items()}
    if traffic.caches is not None:
        datasets[_CACHES] = traffic.caches

    def write(place: Path) -> None:
        for file, dataset in datasets.items():
            encoding: dict[Any, dict[str, Any]] = {each: {"_FillValue": None} for each in dataset.coords}
            for each, values in dataset.data_vars.items():
                encoding[each] = {"zlib": True, "complevel": 1} if values.size else {}
            dataset.to_netcdf(place / file, engine="h5netcdf", encoding=encoding)
        fields = {
            "format": _FORMAT,
            **{name: getattr(traffic, name) for name in _FIELDS},
            "sha256": {file: digest(place / file) for file in datasets},
        }
        (place / _MANIFEST).write_text(json.dumps(fields, indent=2) + "\n")

    return save_directory(directory, {*_DATASETS.values(), _CACHES, _MANIFEST}, write, "saved traffic")


def load(directory: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the fields of a Traffic. Traffic itself checks that they fit together.

    Raises
    ------
    TrafficError
        If there are none, or they cannot be read.
    """
    place = given_path("directory", directory)
    try:
        fields = json.loads((place / _MANIFEST).read_text())
        if not isinstance(fields, dict) or fields.get("format") != _FORMAT:
            raise ValueError(f"{_MANIFEST} is not of format {_FORMAT}")
        if missing := [name for name in (*_FIELDS, "sha256") if name not in fields]:
            raise ValueError(f"{_MANIFEST} has no {missing[0]}")
        parts = {name: fields[name] for name in _FIELDS}
        if isinstance(parts["window"], list):
            parts["window"] = tuple(parts["window"])
        for name, file in _DATASETS.items():
            check_digest(place / file, fields["sha256"][file])
            parts[name] = _read(place / file)
        if _CACHES in fields["sha256"]:
            check_digest(place / _CACHES, fields["sha256"][_CACHES])
            parts["caches"] = _read(place / _CACHES)
            parts["caches"].attrs = {name: as_python(value) for name, value in parts["caches"].attrs.items()}
    except BROKEN as error:
        raise TrafficError(f"{str(place)!r} holds no traffic that can be read: {error}") from error
    return parts


def _read(path: Path) -> xr.Dataset:
    check_size(path)
    # Undecoded: no attribute in the file may change its numbers.
    with xr.open_dataset(path, engine="h5netcdf", decode_cf=False, phony_dims="access") as file:
        dataset = file.load()
    for name in _WORDS:
        if name in dataset.coords:
            dataset = dataset.assign_coords({name: np.array(dataset[name].values.tolist(), dtype=str)})
    check_sums(dataset)
    return dataset
