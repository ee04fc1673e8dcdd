"""Reads the NetCDF files that xarray writes through h5netcdf, several times as quickly as they do.

h5netcdf looks up each variable's dimensions again and again, which takes it 0.2 s a result; a report or a
sweep has hundreds. What is in the file is decoded by xarray all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from pathlib import Path

    import h5py

__all__ = ["read"]

#: How NetCDF-4 keeps dimensions in HDF5: see the NetCDF User's Guide, Interoperability with HDF5.
_ID, _IDS = "_Netcdf4Dimid", "_Netcdf4Coordinates"
_INTERNAL = {
    _ID, _IDS, "_NCProperties", "_nc3_strict", "CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST",
}  # fmt: skip
_SCALE = b"DIMENSION_SCALE"
_UNLABELLED = b"This is a netCDF dimension but not a netCDF variable"


def read(path: Path) -> xr.Dataset:
    """Load a file whole, as :func:`xarray.load_dataset` does.

    Parameters
    ----------
    path : Path

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    Exception
        Those of :data:`fame_lab.saved.BROKEN`, if it is no such file.
    """
    import h5py  # as heavy as what it is for

    with h5py.File(path) as file:
        held = dict(file.items())
        told = {name: dict(each.attrs) for name, each in held.items()}
        whole = dict(file.attrs)
        if not all(_is_plain(each, told[name]) for name, each in held.items()) or not _are_plain(whole):
            return xr.load_dataset(path, engine="h5netcdf")
        names = {int(each[_ID]): name for name, each in told.items() if each.get("CLASS") == _SCALE}
        variables = {
            name: xr.Variable(
                [names[int(number)] for number in told[name].get(_IDS, ())], _values(each), _own(told[name])
            )
            for name, each in held.items()
            if not bytes(told[name].get("NAME", b"")).startswith(_UNLABELLED)
        }
    return xr.decode_cf(xr.Dataset(variables, attrs=_own(whole))).load()


def _is_plain(held: Any, told: dict[str, Any]) -> bool:
    """Say whether it is kept as h5netcdf keeps numbers and text; others do so in other ways."""
    import h5py

    if not isinstance(held, h5py.Dataset) or not _are_plain(told):
        return False
    text = h5py.check_string_dtype(held.dtype)
    if held.dtype.kind not in "iuf" and (text is None or text.length is not None):
        return False
    is_scale = told.get("CLASS") == _SCALE
    return (_ID if is_scale else _IDS) in told or not (is_scale or held.ndim)


def _are_plain(told: dict[str, Any]) -> bool:
    """Say the same of attributes."""
    return all(
        isinstance(value, (str, np.number)) or (isinstance(value, np.ndarray) and value.dtype.kind in "iuf")
        for name, value in told.items()
        if name not in _INTERNAL
    )


def _values(held: h5py.Dataset) -> Any:
    return np.asarray(held.asstr()[()]).astype(str) if held.dtype.kind == "O" else held[()]


def _own(told: dict[str, Any]) -> dict[str, Any]:
    """Give the attributes that are not HDF5's; one number alone is kept as a list of one."""
    return {
        name: value.ravel()[0] if isinstance(value, np.ndarray) and value.size == 1 else value
        for name, value in told.items()
        if name not in _INTERNAL
    }
