"""Declarations of a probe's parameters, read from its ``run``, and the check of values against them."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, ParamSpec, TypeVar, get_args, get_origin, get_type_hints

from fame_lab.core.numeric import as_python
from fame_lab.core.sanitize import quoted
from fame_lab.errors import SpecError
from fame_lab.probes.common.constraints import Choice, Constraint
from fame_lab.probes.common.parameter_types import fits, options, takes_several, type_name
from fame_lab.results.result import Result

__all__ = ["Declaration", "check_arguments", "current_names", "declarations", "read_arguments"]

#: These are imported for a type checker only, and are no parameters.
_UNREAD = {"Lab": object, "TargetLab": object, "Result": object}

#: Names of the release before. Calls may use them for one release more, saved data for good.
_EARLIER = {"patience": "peer_timeout"}

#: A seed stands beside the parameters in a manifest, and how long one waits at most changes no number.
_NOT_KEPT = ("seed", "timeout")

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


@dataclass(frozen=True)
class Declaration:
    """The declaration of one parameter.

    Parameters
    ----------
    name : str
    type : type
        Without what is beside it in an ``Annotated``.
    constraint : Constraint, optional
        What is beside it; of a ``Literal``, the choice that it is.
    """

    name: str
    type: Any
    constraint: Constraint | None

    def from_text(self, value: Any) -> Any:
        """Return a value that was typed as one of its type: 1e6 as an int, one value as several."""
        value = as_python(value)
        if self.type is int and isinstance(value, float) and value.is_integer():
            value = int(value)
        is_one = isinstance(value, (int, float, str)) and not isinstance(value, bool)
        return (value,) if is_one and takes_several(self.type) else value

    def read(self, value: Any) -> Any:
        """Return a value as the probe takes it: numbers as Python's own, sizes as bytes, several as a list.

        Raises
        ------
        SpecError
            If it cannot be.
        """
        value = as_python(value)
        if value is None and type(None) in options(self.type):
            return None
        several = takes_several(self.type)
        # Nodes are checked against the lab.
        if (self.constraint or several or self.type is str) and not fits(value, self.type):
            raise self._refusal(value)
        is_one = several and not isinstance(value, (list, tuple))
        values = [value] if is_one else value
        try:
            values = values if self.constraint is None else self.constraint.read(values)
        except ValueError:
            raise self._refusal(value) from None
        keeps_one = any(each is not type(None) and not takes_several(each) for each in options(self.type))
        return values[0] if is_one and keeps_one else values

    def _refusal(self, value: Any) -> SpecError:
        return SpecError(
            f"{self.name} is {quoted(value)}", hint=f"give {self.constraint or type_name(self.type)}"
        )


@functools.cache
def declarations(run: Callable[..., Any]) -> dict[str, Declaration]:
    """Return what a probe's ``run`` declares of its parameters, by their names; all but the lab."""
    hints = get_type_hints(run, localns=_UNREAD, include_extras=True)
    names = list(inspect.signature(run).parameters)[1:]
    return {name: _declaration(name, hints.get(name, object)) for name in names}


def _declaration(name: str, annotation: Any) -> Declaration:
    is_annotated = get_origin(annotation) is Annotated
    kind, *beside = get_args(annotation) if is_annotated else (annotation,)
    if get_origin(kind) is Literal:
        beside.append(Choice(*get_args(kind)))
    return Declaration(name, kind, next((each for each in beside if hasattr(each, "read")), None))


def check_arguments(run: Callable[P, R]) -> Callable[P, R]:
    """Decorate a probe's ``run``, to pass all arguments, defaults too, through :meth:`Declaration.read`.

    The result's manifest gets those that the probe itself has not settled otherwise, such as nodes by name.
    """
    parameters = list(inspect.signature(run).parameters.values())[1:]
    usual = {each.name: each.default for each in parameters if each.default is not each.empty}

    @functools.wraps(run)
    def checked(*lab: P.args, **arguments: P.kwargs) -> R:
        given = read_arguments(run, usual) | read_arguments(run, arguments)
        result = run(*lab, **given)
        if isinstance(result, Result):
            kept = {name: value for name, value in given.items() if name not in _NOT_KEPT}
            result.manifest["parameters"] = kept | result.manifest.get("parameters", {})
        return result

    return checked


def read_arguments(
    run: Callable[..., Any], arguments: Mapping[str, Any], *, from_text: bool = False, level: int = 4
) -> dict[str, Any]:
    """Check the arguments of a probe, and return them as it takes them.

    Parameters
    ----------
    run : callable
        The probe's.
    arguments : mapping of str to object
    from_text : bool
        Whether they may have been typed, see :meth:`Declaration.from_text`.
    level : int
        As of :func:`current_names`.

    Raises
    ------
    SpecError
        If there is no such parameter, or it cannot have that value.
    """
    declared = declarations(run)
    values = current_names(arguments, declared, level)
    if unknown := sorted(values.keys() - declared.keys()):
        probe = run.__module__.rpartition(".")[2]
        names = ", ".join(declared)
        raise SpecError(f"probe {quoted(probe)} has no parameter {quoted(unknown[0])}; it has {names}")
    for name, value in values.items():
        each = declared[name]
        values[name] = each.read(each.from_text(value) if from_text else value)
    return values


def current_names(arguments: Mapping[str, T], known: Collection[str], level: int = 0) -> dict[str, T]:
    """Return the arguments of a probe, saved ones too, by its parameters' current names.

    Parameters
    ----------
    arguments : mapping of str to object
    known : collection of str
        The names that there are.
    level : int
        Stack level of the caller who is warned of an earlier name; 0 for saved arguments, without a warning.

    Raises
    ------
    SpecError
        If something is there by both of its names.

    Examples
    --------
    >>> current_names({"patience": 5, "batches": 30}, ["batches", "peer_timeout"])
    {'peer_timeout': 5, 'batches': 30}
    """
    earlier = {old: now for old, now in _EARLIER.items() if now in known and old not in known}
    for old in earlier.keys() & arguments.keys():
        if (now := earlier[old]) in arguments:
            raise SpecError(f"{old} and {now} are the same", hint=f"give {now} alone")
        if level:
            message = f"{old} is called {now}; its earlier name goes with the next release"
            warnings.warn(message, DeprecationWarning, stacklevel=level)
    return {earlier.get(name, name): value for name, value in arguments.items()}
