"""The axes of a sweep: fields of the lab, or parameters of the probe, with their values."""

from __future__ import annotations

import dataclasses
import itertools
import os
import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fame_lab import probes
from fame_lab.core.numeric import as_python
from fame_lab.core.sanitize import quoted
from fame_lab.core.sizes import parse_size
from fame_lab.errors import SpecError
from fame_lab.probes.common.declaration import Declaration, current_names, declarations
from fame_lab.probes.common.parameter_types import fits, takes_several, type_name
from fame_lab.spec.lab_spec import LabSpec

__all__ = ["SIZES", "Axis", "check_parameters", "parse_axes"]

#: Fields of a lab that are bytes.
SIZES = ("fam", "memory", "book")

#: The name of a lab, or of its file, is nothing to measure.
_FIELDS = tuple(field.name for field in dataclasses.fields(LabSpec) if field.name not in ("name", "fam_path"))

_SIZE = re.compile(r"[0-9]{1,20}\s*[KMGT](iB)?", re.IGNORECASE | re.ASCII)

#: The most values of one axis: a figure cannot show as many.
_MAX_VALUES = 10_000


@dataclass(frozen=True)
class Axis:
    """One field or parameter that a sweep varies.

    Parameters
    ----------
    name : str
        Its name in the call; the dimension of the dataset.
    of : {"lab", "probe"}
    target : str
        The field of the LabSpec, or the parameter of the probe.
    values : tuple
        Values that JSON can hold; sizes in bytes.
    """

    name: str
    of: Literal["lab", "probe"]
    target: str
    values: tuple[Any, ...]

    @property
    def labels(self) -> list[Any]:
        """The values as labels of a dimension: unchanged if they are of one kind, else as text."""
        if len({type(value) for value in self.values}) == 1 and isinstance(
            self.values[0], (bool, int, float, str)
        ):
            return list(self.values)
        if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in self.values):
            return [float(value) for value in self.values]
        return [_text(value) for value in self.values]


def parse_axes(probe: str, over: Mapping[str, Any]) -> tuple[Axis, ...]:
    """Find the target of each name, and check the values.

    A name that both the lab and the probe have is the lab's. A parameter that takes several values may be
    named in the singular: ``stride`` gives ``strides`` one value at each point.

    Raises
    ------
    SpecError
        If a name is neither the lab's nor the probe's, or a value is of the wrong kind. It lists the names.

    Examples
    --------
    >>> axes = parse_axes("chase", {"nodes": [1, 2], "stride": "4K"})
    >>> [(axis.of, axis.target, axis.values) for axis in axes]
    [('lab', 'nodes', (1, 2)), ('probe', 'strides', (4096,))]
    """
    if not isinstance(over, Mapping) or not over:
        raise SpecError(
            f"over is {quoted(over)}", hint='give a dict of names and values, such as {"nodes": [2, 4]}'
        )
    declared = declarations(probes.family(probe).run)
    # Whoever asks for a sweep is warned of an earlier name: not this module, nor the plan.
    current = current_names(over, declared, 5)
    axes = tuple(_axis(name, values, probe, declared) for name, values in current.items())
    for number, axis in enumerate(axes):
        if any((axis.of, axis.target) == (other.of, other.target) for other in axes[:number]):
            raise SpecError(f"over has {quoted(axis.target)} twice", hint="give it once, with all its values")
    return axes


def check_parameters(probe: str, parameters: Mapping[str, Any], axes: Iterable[Axis]) -> dict[str, Any]:
    """Return the parameters that are the same at all points, with sizes in bytes.

    Raises
    ------
    SpecError
        If the probe has no such parameter, it cannot have such a value, or it is swept as well.
    """
    declared = declarations(probes.family(probe).run)
    parameters = current_names(parameters, declared, 5)
    swept = {axis.target for axis in axes if axis.of == "probe"}
    for name in parameters:
        if name not in declared:
            raise SpecError(
                f"{quoted(name)} is a field of the lab: give it in spec (--spec) or in over (--over)"
                if name in _FIELDS
                else f"probe {quoted(probe)} has no parameter {quoted(name)}; it has {', '.join(declared)}"
            )
        if name in swept:
            raise SpecError(
                f"{quoted(name)} is in over, and is given for all points as well",
                hint="leave one of them out",
            )
    return {name: _checked(value, declared[name]) for name, value in parameters.items()}


def _axis(name: str, values: Any, probe: str, declared: Mapping[str, Declaration]) -> Axis:
    several = list(itertools.islice(values, _MAX_VALUES + 1)) if _is_several(values) else [values]
    if not 0 < len(several) <= _MAX_VALUES:
        count = "more" if several else "none"
        raise SpecError(f"over[{quoted(name)}] has to have 1 to {_MAX_VALUES} values, and has {count}")
    several = [_to_json(value) for value in several]
    if name in _FIELDS:
        axis = Axis(name, "lab", name, tuple(_of_field(name, value) for value in several))
    elif (target := _parameter(name, declared)) is not None:
        if name != target and any(isinstance(value, list) for value in several):
            raise SpecError(
                f"{quoted(name)} is one of {target}", hint=f"give single values, or name it {quoted(target)}"
            )
        axis = Axis(name, "probe", target, tuple(_checked(value, declared[target]) for value in several))
    else:
        raise SpecError(
            f"over has {quoted(name)}, which is no field of a lab ({', '.join(_FIELDS)}) and no parameter of "
            f"probe {quoted(probe)} ({', '.join(declared)})"
        )
    labels = axis.labels
    if twice := [label for number, label in enumerate(labels) if label in labels[:number]]:
        raise SpecError(
            f"over has {name} {twice[0]} twice", hint="give each value once; repeats= measures it again"
        )
    return axis


def _parameter(name: object, declared: Mapping[str, Declaration]) -> str | None:
    if name in declared:
        return str(name)
    plural = f"{name}s"
    return plural if plural in declared and takes_several(declared[plural].type) else None


def _of_field(field: str, value: Any) -> Any:
    if isinstance(value, (list, dict)):
        raise SpecError(
            f"over has {field} {quoted(value)}: {quoted(field)} is the lab's, with one value at each point; "
            "a parameter of the probe that has that name can be given for all points only"
        )
    return parse_size(value, field) if field in SIZES and value != "auto" else value


def _checked(value: Any, declared: Declaration) -> Any:
    kind = declared.type
    value = _to_json(value)
    value = [_sized(each, kind) for each in value] if isinstance(value, list) else _sized(value, kind)
    if not fits(value, kind):
        raise SpecError(f"{declared.name} is {quoted(value)}: the probe takes {type_name(kind)}")
    value = int(value) if kind is int and isinstance(value, float) else value
    declared.read(value)
    return value


def _sized(value: Any, kind: Any) -> Any:
    """Return bytes for "4K" if the probe takes a number, else the value."""
    is_size = isinstance(value, str) and _SIZE.fullmatch(value.strip())
    return parse_size(value) if is_size and fits(1, kind) else value


def _is_several(values: Any) -> bool:
    return isinstance(values, Iterable) and not isinstance(values, (str, bytes, Path, Mapping, Set))


def _to_json(value: Any) -> Any:
    """Return a value that JSON can hold: it has no numpy numbers, tuples or paths."""
    value = as_python(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return [_to_json(each) for each in value] if isinstance(value, (list, tuple)) else value


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
