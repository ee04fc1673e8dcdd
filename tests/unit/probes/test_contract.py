"""What every probe keeps to, one of yours too: it takes a row in SMALL if its defaults take long."""

import inspect
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import xarray as xr
from odd_values import ODD

from fame_lab import compare, probes
from fame_lab.errors import ProbeError, SpecError
from fame_lab.probes.common.batches import summary
from fame_lab.probes.common.constraints import (
    Choice,
    Choices,
    Constraint,
    Multiple,
    PowerOfTwo,
    Range,
    Several,
)
from fame_lab.probes.common.declaration import Declaration, declarations
from fame_lab.probes.common.parameters import Parameter, parameters
from fame_lab.results.result import Result
from fame_lab.testing import LocalLab

#: What makes a run short, beside few and short batches.
SMALL: dict[str, dict[str, Any]] = {
    "bandwidth": {"working_sets": ["4K"], "operations": ["read", "copy"]},
    "chase": {"working_sets": ["4K"]},
    "litmus": {"iterations": 1000},
    "loaded_latency": {"delays": [0], "working_set": "64K"},
    "pingpong": {"variants": ["cas", "one-line"]},
    "ring": {"message_sizes": [64]},
    "timer": {"seconds": 0.05},
    "visibility": {"exchanges": 5},
    "workloads": {"size": "4K", "operations": 1 << 14, "workloads": ["gups", "zipf"]},
}
#: Without a unit: numbers that may not be whole, because they are quotients of the same.
QUOTIENTS = ("share", "share_low", "share_high", "fairness", "ratio")


class Started(BaseException):
    """A probe has taken its parameters."""


class IdleNode:
    """A node that runs nothing."""

    def __init__(self, index: int) -> None:
        self.name, self.index = f"node{index + 1:02}", index

    def probe(self, *arguments: str, **_: Any) -> list[dict[str, Any]]:
        json.dumps(arguments)
        raise Started


class Run(NamedTuple):
    """A result, and the directory that it is saved to."""

    probe: str
    result: Result
    saved: Path


def declared(probe: str) -> dict[str, Declaration]:
    return declarations(probes.family(probe).run)


def small(probe: str) -> dict[str, Any]:
    few = {name: value for name, value in (("batches", 30), ("batch_ms", 1)) if name in declared(probe)}
    return few | SMALL.get(probe, {})


def run_alone(lab: Any, probe: str, **arguments: Any) -> Result:
    return probes.family(probe).run(lab, **arguments)


@pytest.fixture(scope="module", params=probes.names())
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    probe, place = request.param, tmp_path_factory.mktemp(request.param)
    result = run_alone(LocalLab.make(place), probe, **small(probe))
    return Run(probe, result, result.save(place / "saved"))


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    lab = LocalLab.make(tmp_path_factory.mktemp("lab"), size=64 << 20)
    lab.nodes[:] = [IdleNode(0), IdleNode(1)]
    yield lab


@pytest.fixture
def no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fame_lab.probes.timer.short", lambda *_: {})


def default_of(probe: str, name: str) -> Any:
    return inspect.signature(probes.family(probe).run).parameters[name].default


def inside(constraint: Constraint) -> Any:
    """Return a value that may be."""
    match constraint:
        case Range() | PowerOfTwo():
            return constraint.low
        case Multiple():
            return max(constraint.low, constraint.of)
        case Choice():
            return constraint.values[0]
        case Several():
            return [inside(constraint.each)]
    raise TypeError(constraint)


def outside(constraint: Constraint) -> list[Any]:
    """Return values that may not be, those next to the ends among them."""
    match constraint:
        case Range(low=int(low), high=high):
            return [low - 1, int(high) + 1, low + 0.5, "many", True, None]
        case Range(low=low, high=high):
            ends = [float(np.nextafter(low, -math.inf)), float(np.nextafter(high, math.inf))]
            part = [low + 0.5] if constraint.whole else []
            return [*ends, *part, -high, math.nan, math.inf, str(low), True, None]
        case Multiple(of=of, low=low, high=high):
            ends = [low - of, *([] if high is None else [high + of])]
            return [*ends, inside(constraint) + of // 2, -of, "many", 0.5, True]
        case PowerOfTwo(low=low, high=high):
            return [low // 2, 2 * high, 3 * low, -low, "many", 0.5, True]
        case Choice():
            return ["none of them", 3, True, [], {}]
        case Several():
            once = inside(constraint.each)
            bad = [value for value in outside(constraint.each) if value is not None]
            return [[], [once, once], [once, str(once)], {}, *bad, *([value] for value in bad)]
    raise TypeError(constraint)


DECLARED = [
    (probe, name)
    for probe in probes.names()
    for name, each in declared(probe).items()
    if each.constraint is not None
]


@pytest.mark.parametrize(("probe", "name"), DECLARED)
def test_what_lies_outside_what_is_declared_is_refused_by_name_before_anything_runs(
    idle: Any, probe: str, name: str
) -> None:
    constraint = declared(probe)[name].constraint
    assert constraint is not None
    for value in outside(constraint):
        for start in (probes.run, run_alone):
            with pytest.raises(SpecError) as refusal:
                start(idle, probe, **{name: value})
            assert str(refusal.value).startswith(f"{name} is "), value
            assert str(refusal.value).endswith(f": give {constraint}")


@pytest.mark.parametrize(("probe", "name"), DECLARED)
def test_what_is_declared_has_room_for_the_default_and_for_its_ends(probe: str, name: str) -> None:
    each, default = declared(probe)[name], default_of(probe, name)
    assert each.constraint is not None
    if default is not None:
        each.read(default)
    each.read(inside(each.constraint))
    if isinstance(each.constraint, Range):
        assert each.read(each.constraint.high) == each.constraint.high


@pytest.mark.parametrize("probe", probes.names())
@pytest.mark.parametrize("start", [probes.run, run_alone])
def test_an_unknown_parameter_is_refused_with_those_that_there_are(idle: Any, probe: str, start: Any) -> None:
    names = ", ".join(declared(probe))
    with pytest.raises(SpecError, match=f"probe '{probe}' has no parameter 'nodez'; it has {names}$"):
        start(idle, probe, nodez=3)


PARAMETERS = [(probe, name) for probe in probes.names() for name in declared(probe)]


@pytest.mark.parametrize(("probe", "name"), PARAMETERS)
def test_an_odd_value_of_a_parameter_is_taken_or_refused_in_short(
    idle: Any, no_timer: None, probe: str, name: str
) -> None:
    for value in [*ODD, [[]], {}, [{}], [None], [True], [1.5], object(), [10**5000], [np.nan], b"x", set()]:
        with pytest.raises((SpecError, ProbeError, Started)) as end:
            probes.run(idle, probe, **{name: value})
        assert len(str(end.value)) < 700
        assert str(end.value).isprintable()


@pytest.mark.parametrize(("probe", "name"), [case for case in PARAMETERS if default_of(*case) is not None])
def test_numpys_numbers_and_arrays_are_taken_as_pythons_own(
    idle: Any, no_timer: None, probe: str, name: str
) -> None:
    default = default_of(probe, name)
    value = np.array(default) if isinstance(default, tuple) else np.array([default])[0]
    for start in (probes.run, run_alone):
        with pytest.raises(Started):
            start(idle, probe, **{name: value})


def test_a_result_of_numpys_numbers_is_saved(tmp_path: Path) -> None:
    lab: Any = LocalLab.make(tmp_path)
    result = probes.family("chase").run(
        lab,
        working_sets=np.array([4096, 8192]),
        strides=np.uint16(64),
        batches=np.int32(30),
        batch_ms=np.float32(1),
        seed=np.uint64(3),
        node=np.int8(1),
    )
    again = type(result).load(result.save(tmp_path / "saved"))
    assert again.manifest["parameters"]["batches"] == 30
    assert again.dataset["working_set"].values.tolist() == [4096, 8192]


def test_every_variable_says_what_it_is_and_in_which_unit(run: Run) -> None:
    for name, variable in run.result.dataset.data_vars.items():
        assert variable.attrs["long_name"], name
        if "units" not in variable.attrs:
            # A flag, a text, a count or a quotient has none.
            numbers = variable.values if variable.dtype.kind == "f" else np.array([])
            values = numbers[np.isfinite(numbers)]
            assert str(name).endswith(QUOTIENTS) or all(value == int(value) for value in values), name


def test_every_summary_follows_from_its_batches(run: Run) -> None:
    dataset = run.result.dataset
    for name in (str(each) for each in dataset.data_vars if str(each).endswith("_summary")):
        batches = dataset[name.removesuffix("_summary")]
        statistics = dataset[name].transpose(..., "statistic")
        *others, last = (dim for dim in batches.dims if dim not in statistics.dims)
        # In the order of measuring, which is that of the last dimension, whatever else is summed up.
        rows = batches.transpose(*statistics.dims[:-1], last, *others).values.reshape(
            *statistics.shape[:-1], -1
        )
        for place in np.ndindex(statistics.shape[:-1]):
            row = rows[place][np.isfinite(rows[place])]
            expected = (
                summary(xr.DataArray(row, dims="batch"))
                if row.size
                else np.full(statistics.shape[-1], np.nan)
            )
            np.testing.assert_allclose(statistics.values[place], expected, err_msg=name)


def test_what_is_saved_is_what_is_loaded(run: Run) -> None:
    loaded = Result.load(run.saved)
    assert loaded.probe == run.probe == run.result.manifest["probe"]
    xr.testing.assert_identical(loaded.dataset, run.result.dataset)
    assert loaded.manifest == run.result.manifest
    assert loaded.failed == run.result.failed


def test_a_result_agrees_with_itself_saved(run: Run) -> None:
    comparison = compare(run.result, run.saved)
    assert comparison.agrees, comparison
    assert comparison.differs == ()
    assert comparison.verdicts["agrees"] == len(comparison.rows) > 1
    comparison.plot().draw_without_rendering()


def test_the_plot_is_drawn_from_what_is_loaded_and_says_where_it_comes_from(run: Run) -> None:
    figure = Result.load(run.saved).plot()
    assert figure.axes and figure.get_suptitle()
    assert "emulated (TCG on this host)" in figure.get_supxlabel()
    assert "n = " in figure.get_supxlabel()


def test_a_result_says_what_was_asked_for_and_how_busy_the_host_was(run: Run) -> None:
    arguments = run.result.manifest["parameters"]
    assert set(arguments) <= set(declared(run.probe))
    assert {name: arguments[name] for name in ("batches", "batch_ms") if name in arguments} == {
        name: value for name, value in small(run.probe).items() if name in ("batches", "batch_ms")
    }
    share = run.result.dataset.attrs["host_cpu_wait"]
    assert 0 <= share <= 1 or math.isnan(share)
    assert run.result.dataset.attrs["mapping"] == run.result.manifest["mapping"] == "unknown"


@pytest.mark.parametrize(("probe", "name"), DECLARED)
def test_a_docstring_leaves_the_range_to_the_declaration(probe: str, name: str) -> None:
    # A face shows both, side by side.
    each: Parameter = next(each for each in parameters(probe) if each.name == name)
    assert not re.search(r"from [0-9.]\S* to [0-9]", each.words, re.IGNORECASE)
    constraint = each.declaration.constraint
    if listed := re.search(r"\{(.*)\}", each.kind):
        assert isinstance(constraint, (Choice, Choices))
        choice = constraint.each if isinstance(constraint, Choices) else constraint
        assert isinstance(choice, Choice)
        assert set(json.loads(f"[{listed[1]}]")) == set(choice.values)


@pytest.mark.parametrize(("probe", "name"), DECLARED)
def test_a_parameter_tells_a_face_what_is_declared(probe: str, name: str) -> None:
    each = next(each for each in parameters(probe) if each.name == name)
    assert each.takes == str(each.declaration.constraint)
    assert (each.text in each.choices) == isinstance(each.declaration.constraint, Choice)
