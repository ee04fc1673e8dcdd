"""The plan of a sweep: every point and its order, enough to go on after a kill."""

from __future__ import annotations

import dataclasses
import itertools
import math
import random
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fame_lab.core.numeric import check_whole
from fame_lab.core.sanitize import quoted
from fame_lab.errors import SpecError
from fame_lab.experiments.sweep.axes import Axis, check_parameters, parse_axes
from fame_lab.probes.common.parameters import saved_parameters
from fame_lab.spec.fam_layout import auto_book
from fame_lab.spec.lab_spec import LabSpec
from fame_lab.spec.validation import check_memory

__all__ = ["Plan", "Point"]

_FORMAT = 1
_MAX_POINTS = 100_000
#: The most characters of the lab's name, so that a unique suffix has room.
_NAME = 20


@dataclass(frozen=True)
class Point:
    """One measurement of a sweep.

    Parameters
    ----------
    number : int
        Its place in the order, from 0.
    places : tuple of int
        The index of its value on each axis.
    repeat : int
        From 0.
    """

    number: int
    places: tuple[int, ...]
    repeat: int


@dataclass(frozen=True)
class Plan:
    """The settings of a sweep, its token, and its random order.

    Parameters
    ----------
    probe : str
    axes : tuple of Axis
    repeats : int
    seed : int
    spec : LabSpec
        Of every lab, but for the swept fields.
    parameters : dict
        Of the probe at every point, but for the swept ones.
    token : str
        Six hexadecimal digits: this sweep's labs have it in their names.
    order : tuple of tuple of int
        For each point, in order: the index of its value on each axis, and the repeat.
    """

    probe: str
    axes: tuple[Axis, ...]
    repeats: int
    seed: int
    spec: LabSpec
    parameters: dict[str, Any]
    token: str
    order: tuple[tuple[int, ...], ...]

    @classmethod
    def make(
        cls,
        probe: str,
        over: Mapping[str, Any],
        *,
        repeats: int,
        seed: int,
        spec: LabSpec | None,
        parameters: Mapping[str, Any],
    ) -> Plan:
        """Check all settings, every lab and the kind of every parameter, and draw the order.

        Raises
        ------
        SpecError
            If a setting cannot be right.
        """
        if spec is not None and not isinstance(spec, LabSpec):
            raise SpecError(
                f"spec is {quoted(spec)}", hint="give a LabSpec, such as LabSpec('mine', fam='64M')"
            )
        repeats = check_whole("repeats", repeats, 1, (1 << 31) - 1)
        seed = check_whole("seed", seed, 0, (1 << 31) - 1)
        axes = parse_axes(probe, over)
        count = math.prod(len(axis.values) for axis in axes) * repeats
        if count > _MAX_POINTS:
            raise SpecError(
                f"that is {count:,} points", hint=f"give fewer values or repeats, up to {_MAX_POINTS:,}"
            )
        plan = cls(
            probe=probe,
            axes=axes,
            repeats=repeats,
            seed=seed,
            spec=spec or LabSpec("sweep"),
            parameters=check_parameters(probe, parameters, axes),
            token=secrets.token_hex(3),
            order=_order(axes, repeats, seed),
        )
        for point in {plan.block_of(point)[1:]: point for point in plan.points}.values():
            plan.spec_of(point)
        return plan

    @property
    def points(self) -> list[Point]:
        """Every point, in order."""
        return [Point(number, each[:-1], each[-1]) for number, each in enumerate(self.order)]

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of values of each axis, and of repeats."""
        return (*(len(axis.values) for axis in self.axes), self.repeats)

    def values_of(self, point: Point) -> dict[str, Any]:
        """Return a point's value on each axis."""
        return {axis.name: axis.values[place] for axis, place in zip(self.axes, point.places, strict=True)}

    def spec_of(self, point: Point) -> LabSpec:
        """Return the lab of a point, under the name that all of them have.

        Raises
        ------
        SpecError
            If there can be no such lab.
        """
        fields = self.spec.to_dict()
        # A spec keeps the value of "auto", which may not fit the swept fields.
        if fields["book"] == auto_book(self.spec.fam_size, self.spec.nodes):
            fields["book"] = "auto"
        if fields["memory"] == check_memory("auto", str(self.spec.image)):
            fields["memory"] = "auto"
        swept = self._of("lab", point)
        try:
            return LabSpec.from_dict(fields | swept)
        except SpecError as error:
            at = ", ".join(f"{name}={value}" for name, value in swept.items())
            raise SpecError(f"there is no lab with {at}: {error}" if swept else str(error)) from error

    def lab_of(self, point: Point) -> LabSpec:
        """Return the lab of a point, under a name that no other lab has."""
        name = f"{self._lab_prefix}{secrets.token_hex(2)}"
        return dataclasses.replace(self.spec_of(point), name=name)

    def is_mine(self, lab: str) -> bool:
        """Return whether a lab of that name is, or was, one of this sweep."""
        return lab.startswith(self._lab_prefix)

    def parameters_of(self, point: Point) -> dict[str, Any]:
        """Return the probe's parameters at a point."""
        return self.parameters | self._of("probe", point)

    def block_of(self, point: Point) -> tuple[int, ...]:
        """Return the key of the points that share one lab: those of a repeat with the same spec."""
        return (point.repeat, *_lab_places(self.axes, point.places))

    def _of(self, what: str, point: Point) -> dict[str, Any]:
        return {
            axis.target: axis.values[place]
            for axis, place in zip(self.axes, point.places, strict=True)
            if axis.of == what
        }

    @property
    def _lab_prefix(self) -> str:
        return f"{self.spec.name[:_NAME]}-{self.token}-"

    def settings(self) -> dict[str, Any]:
        """Return the arguments of the sweep, in values that JSON can hold."""
        return {
            "probe": self.probe,
            "over": {axis.name: list(axis.values) for axis in self.axes},
            "repeats": self.repeats,
            "seed": self.seed,
            "spec": self.spec.to_dict(),
            "parameters": self.parameters,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the whole plan, in values that JSON can hold."""
        targets = {axis.name: [axis.of, axis.target] for axis in self.axes}
        order = [list(each) for each in self.order]
        return {
            "format": _FORMAT, **self.settings(), "targets": targets, "token": self.token, "order": order,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, fields: Any) -> Plan:
        """Return the plan of :meth:`to_dict`'s values.

        Raises
        ------
        ValueError, KeyError, TypeError, AttributeError
            If they are not those of a plan.
        """
        if fields["format"] != _FORMAT:
            raise ValueError(f"format is {quoted(fields['format'])}, and not {_FORMAT}")
        probe, axes = str(fields["probe"]), []
        targets = saved_parameters(probe, fields["targets"])
        for name, values in saved_parameters(probe, fields["over"]).items():
            of, target = targets[name]
            (target,) = saved_parameters(probe, {target: None})
            if of not in ("lab", "probe") or not isinstance(target, str) or not isinstance(values, list):
                raise ValueError(f"{quoted(name)} is no axis")
            axes.append(Axis(name, of, target, tuple(values)))
        order = tuple(tuple(map(int, each)) for each in fields["order"])
        plan = cls(
            probe, tuple(axes), int(fields["repeats"]), int(fields["seed"]),
            LabSpec.from_dict(fields["spec"]), saved_parameters(probe, fields["parameters"]),
            str(fields["token"]), order,
        )  # fmt: skip
        count = math.prod(plan.shape)
        if not axes or not 0 < count <= _MAX_POINTS or sorted(order) != sorted(_cells(plan.shape)):
            raise ValueError("its order is not that of its points")
        return plan

    def differences(self, other: Plan) -> list[str]:
        """Return the settings in which another plan differs."""
        mine, theirs = dict(_flat(self.settings())), dict(_flat(other.settings()))
        return [
            f"{name} was {_setting(mine, name)} and is {_setting(theirs, name)}"
            for name in dict.fromkeys([*mine, *theirs])
            if _setting(mine, name) != _setting(theirs, name)
        ]


def _order(axes: tuple[Axis, ...], repeats: int, seed: int) -> tuple[tuple[int, ...], ...]:
    """Draw a random order of the labs in each repeat, and of the points in each lab."""
    chance = random.Random(seed)  # noqa: S311 - an order is no secret
    order: list[tuple[int, ...]] = []
    for repeat in range(repeats):
        labs: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
        for places in _cells(tuple(len(axis.values) for axis in axes)):
            labs.setdefault(_lab_places(axes, places), []).append(places)
        blocks = list(labs.values())
        chance.shuffle(blocks)
        for block in blocks:
            chance.shuffle(block)
            order += [(*places, repeat) for places in block]
    return tuple(order)


def _cells(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    return itertools.product(*map(range, shape))


def _lab_places(axes: tuple[Axis, ...], places: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(place for axis, place in zip(axes, places, strict=True) if axis.of == "lab")


def _flat(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield each setting under a name of its own, such as ``spec.fam``."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{key}", each) for key, each in value.items())
        else:
            yield name, value


def _setting(settings: Mapping[str, Any], name: str) -> str:
    return quoted(settings[name]) if name in settings else "not given"
