"""Whether a value can be a parameter's at all, by the annotation of the probe's ``run``."""

from __future__ import annotations

import collections.abc
import functools
import types
from collections.abc import Callable, Mapping
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from fame_lab.core import above
from fame_lab.core.numeric import as_python, real
from fame_lab.core.sanitize import quoted
from fame_lab.errors import SpecError
from fame_lab.probes.common.parameters import parameters as known_parameters

__all__ = ["check_kinds", "fits", "hints", "takes_numpy", "takes_several"]

#: These are imported for a type checker only, and are no parameters.
_UNREAD = {"Lab": object, "TargetLab": object, "Result": object}

P = ParamSpec("P")
R = TypeVar("R")


def hints(probe: str) -> dict[str, Any]:
    """Return the types that the parameters of a probe have, by their names.

    Raises
    ------
    SpecError
        If there is no such probe.

    Examples
    --------
    >>> hints("timer")["batches"]
    <class 'int'>
    """
    found = get_type_hints(above.load("probes").family(probe).run, localns=_UNREAD)
    return {name: kind for name, kind in found.items() if name not in ("lab", "return")}


def takes_numpy(run: Callable[P, R]) -> Callable[P, R]:
    """Decorate a probe's ``run``: it gets numpy's numbers and arrays as Python's own, which JSON can hold."""

    @functools.wraps(run)
    def taken(*lab: P.args, **parameters: P.kwargs) -> R:
        plain = {name: as_python(value) for name, value in parameters.items()}
        check_kinds(run.__module__.rpartition(".")[2], plain)
        return run(*lab, **plain)

    return taken


def check_kinds(probe: str, parameters: Mapping[str, Any]) -> None:
    """Check that what has to be a word, or several values, is; the probe itself looks at numbers and sizes.

    Raises
    ------
    SpecError
        If a parameter is of another kind.
    """
    kinds = hints(probe)
    for name, value in parameters.items():
        kind = kinds.get(name, object)
        if (kind is str or takes_several(kind)) and not fits(value, kind):
            words = next(each.kind for each in known_parameters(probe) if each.name == name)
            raise SpecError(f"{name} is {quoted(value)}: give {words or kind}")


def takes_several(kind: Any) -> bool:
    """Return whether a parameter of that type takes several values, too."""
    return get_origin(kind) is collections.abc.Sequence or any(map(takes_several, _choices(kind)))


def fits(value: object, kind: Any) -> bool:
    """Return whether a value is of a type; one value stands for several, as a probe takes it.

    Examples
    --------
    >>> fits(3, int), fits("many", int), fits(True, int)
    (True, False, False)
    """
    if choices := _choices(kind):
        return any(fits(value, choice) for choice in choices)
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if get_origin(kind) is collections.abc.Sequence:
        several = value if isinstance(value, (list, tuple)) else [value]
        return all(fits(each, get_args(kind)[0]) for each in several)
    if kind in (int, float):
        found = real(value)
        return found is not None and (kind is float or found == int(found))
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _choices(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else ()
