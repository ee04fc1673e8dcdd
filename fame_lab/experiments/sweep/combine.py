"""The points of a sweep as one dataset: a dimension an axis, one for the repeats, and the probe's own."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from fame_lab.experiments.sweep.axes import SIZES, Axis
from fame_lab.experiments.sweep.plan import Plan, Point
from fame_lab.experiments.sweep.storage import Failure
from fame_lab.results.result import Result

__all__ = ["TAGS", "combined"]

#: The coordinates of every point of any sweep: where, when, how, and the errors.
TAGS = ("host", "accelerator", "time", "run_order", "failed", "error", "manifest")

_POINT = "point"


def combined(plan: Plan, results: Mapping[Point, Result], failures: Mapping[Point, Failure]) -> xr.Dataset:
    """Combine the points' results.

    Points that differ in the probe's own dimensions are joined by an outer join: NaN, or empty text, where
    one has no value. Missing points have the same.

    Parameters
    ----------
    plan : Plan
    results : mapping of Point to Result
        At least one.
    failures : mapping of Point to Failure

    Returns
    -------
    xarray.Dataset
        Each variable (axes, repeat, and its own dimensions). The coordinates :data:`TAGS` (axes, repeat).
    """
    names = [axis.name for axis in plan.axes]
    reserved = {*names, "repeat", _POINT, *TAGS}
    points = [_drop_axes(result.dataset, plan.axes, reserved) for result in results.values()]
    variables = {str(name) for each in points for name in each.variables}
    same, differing = _attributes([result.dataset.attrs for result in results.values()], reserved | variables)
    attributes: dict[str, dict[str, Any]] = {}
    for each in points:
        for name, variable in each.variables.items():
            attributes.setdefault(str(name), dict(variable.attrs))
    coordinates = {name for each in points for name in each.coords}
    unlabelled = {name for each in points for name in each.dims if name not in each.coords}
    whole = xr.concat(
        [_numbered(each.reset_coords(), unlabelled) for each in points],
        dim=_POINT,
        data_vars="all",
        coords="minimal",
        compat="override",
        join="outer",
        combine_attrs="drop",
    )
    whole = whole.drop_vars(unlabelled & set(whole.coords))
    whole = whole.assign({name: (_POINT, values) for name, values in differing.items()})
    whole = _on_grid(whole, plan.shape, [*names, "repeat"], list(results))
    for name, variable in whole.variables.items():
        variable.attrs = attributes.get(str(name), {})
    tags = {name: ([*names, "repeat"], values) for name, values in _tags(plan, results, failures).items()}
    whole = whole.assign_coords(tags).set_coords([*(coordinates & set(whole.variables)), *differing])
    for axis in plan.axes:
        whole = whole.assign_coords({axis.name: (axis.name, axis.labels, _axis_attrs(axis, results))})
    whole = whole.assign_coords(repeat=np.arange(plan.repeats))
    whole.attrs = same | _of_sweep(plan, results, failures)
    return whole


def _drop_axes(dataset: xr.Dataset, axes: Sequence[Axis], reserved: set[str]) -> xr.Dataset:
    """Return a point's data without its axes' own dimensions; other variables of such names are renamed."""
    for axis in axes:
        for name in {axis.name, axis.target, axis.target.removesuffix("s")} if axis.of == "probe" else ():
            if dataset.sizes.get(name) == 1:
                dataset = dataset.isel({name: 0}, drop=True)
            elif name in dataset.coords and not dataset[name].dims:
                dataset = dataset.drop_vars(name)
    clashing = reserved & {*map(str, dataset.variables), *map(str, dataset.dims)}
    return dataset.rename({name: f"measured_{name}" for name in clashing})


def _numbered(dataset: xr.Dataset, dims: set[Hashable]) -> xr.Dataset:
    """Label dimensions without labels, such as batches, by number: points may have more or fewer."""
    own_dims = [name for name in dims if name in dataset.sizes]
    return dataset.assign_coords({name: np.arange(dataset.sizes[name]) for name in own_dims})


def _attributes(
    every: Sequence[Mapping[str, Any]], reserved: set[str]
) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Part attributes into those that all points share, and the values of those that differ."""
    names = {name: None for attributes in every for name in attributes if name != "failed"}
    same: dict[str, Any] = {}
    differing: dict[str, list[Any]] = {}
    for name in names:
        values: list[Any] = [attributes.get(name) for attributes in every]
        free = f"measured_{name}" if name in reserved else name
        if all(np.array_equal(value, values[0]) for value in values):
            same[free] = values[0]
        elif all(isinstance(value, (int, float, np.number)) for value in values):
            differing[free] = [float(value) for value in values]
        else:
            differing[free] = [str(value) for value in values]
    return same, differing


def _on_grid(flat: xr.Dataset, shape: tuple[int, ...], names: list[str], points: list[Point]) -> xr.Dataset:
    """Put each point at its place; places without a point are NaN, or empty."""
    cells = np.ravel_multi_index(np.array([(*point.places, point.repeat) for point in points]).T, shape)
    count, is_whole = int(np.prod(shape)), len(points) == np.prod(shape)
    variables = {}
    for name, variable in flat.variables.items():
        if _POINT not in variable.dims:
            variables[name] = variable
            continue
        values = _of_one_kind(variable.transpose(_POINT, ...).values)
        if values.dtype.kind in "biu" and not is_whole:
            values = values.astype(float)
        empty: Any = {"O": "", "f": np.nan}.get(values.dtype.kind, 0)
        grid = np.full((count, *values.shape[1:]), empty, values.dtype)
        grid[cells] = values
        dims = [dim for dim in variable.dims if dim != _POINT]
        variables[name] = xr.Variable((*names, *dims), grid.reshape(*shape, *values.shape[1:]))
    return xr.Dataset(variables)


def _of_one_kind(values: Any) -> Any:
    """Return text as text throughout, and booleans among NaN as numbers."""
    if values.dtype.kind not in "OUS":
        return values
    is_there = xr.DataArray(values).notnull().values
    if not any(isinstance(value, str) for value in values[is_there]):
        return values.astype(float)
    return np.where(is_there, values, "").astype(object)


def _tags(plan: Plan, results: Mapping[Point, Result], failures: Mapping[Point, Failure]) -> dict[str, Any]:
    tags: dict[str, Any] = {name: np.full(plan.shape, "", object) for name in TAGS}
    tags["run_order"] = np.zeros(plan.shape, int)
    for point in plan.points:
        tags["run_order"][*point.places, point.repeat] = point.number
    for point, failure in failures.items():
        at = (*point.places, point.repeat)
        tags["error"][at] = f"{failure.kind}: {failure.error}"
        tags["host"][at], tags["time"][at] = failure.host, failure.time
    for point, result in results.items():
        at, manifest = (*point.places, point.repeat), result.manifest
        tags["host"][at] = str(_part(manifest, "sweep", "host"))
        tags["time"][at] = str(_part(manifest, "sweep", "time"))
        tags["accelerator"][at] = str(_part(manifest, "accelerator", "kind"))
        tags["failed"][at] = result.failed
        tags["manifest"][at] = json.dumps(manifest)
    return tags


def _part(manifest: Mapping[str, Any], name: str, key: str) -> Any:
    """Return a value of a manifest, or empty text: the manifest may come from anywhere."""
    part = manifest.get(name)
    return part.get(key, "") if isinstance(part, Mapping) else ""


def _axis_attrs(axis: Axis, results: Mapping[Point, Result]) -> dict[str, Any]:
    """Return an axis's attributes: its units, or those that the probe gave it."""
    if axis.of == "lab":
        return {"units": "B"} if axis.target in SIZES and "auto" not in axis.values else {}
    for result in results.values():
        for name in (axis.name, axis.target.removesuffix("s")):
            if name in result.dataset.coords:
                return dict(result.dataset[name].attrs)
    return {}


def _of_sweep(
    plan: Plan, results: Mapping[Point, Result], failures: Mapping[Point, Failure]
) -> dict[str, Any]:
    missing = len(plan.points) - len(results)
    failed = [f"{_where(plan, point)}: {result.failed}" for point, result in results.items() if result.failed]
    errors = [f"{_where(plan, point)}: {each.kind}: {each.error}" for point, each in failures.items()]
    return {
        "probe": plan.probe,
        "axes": [axis.name for axis in plan.axes],
        "sweep_seed": plan.seed,
        "missing": missing,
        "failed": _in_short(failed),
        "errors": _in_short(errors),
    }


def _where(plan: Plan, point: Point) -> str:
    values = ", ".join(f"{name}={value}" for name, value in plan.values_of(point).items())
    return f"{values}, repeat {point.repeat}"


def _in_short(messages: list[str]) -> str:
    more = f"; and {len(messages) - 3} more" if len(messages) > 3 else ""
    return "; ".join(messages[:3]) + more
