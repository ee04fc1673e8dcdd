"""What all probes take, and what they refuse, before a node is asked for anything."""

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from odd_values import ODD

from fame_lab import probes
from fame_lab.errors import ProbeError, SpecError
from fame_lab.probes.common.parameter_types import hints
from fame_lab.testing import LocalLab


class Started(BaseException):
    """A probe has taken its parameters."""


class IdleNode:
    """A node that runs nothing."""

    def __init__(self, index: int) -> None:
        self.name, self.index = f"node{index + 1:02}", index

    def probe(self, *arguments: str, **_: Any) -> list[dict[str, Any]]:
        json.dumps(arguments)
        raise Started


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    made = LocalLab.make(tmp_path_factory.mktemp("lab"), size=64 << 20)
    made.nodes[:] = [IdleNode(0), IdleNode(1)]
    yield made


@pytest.fixture(autouse=True)
def no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fame_lab.probes.timer.short", lambda *_: {})


def default_of(probe: str, name: str) -> Any:
    return inspect.signature(probes.family(probe).run).parameters[name].default


CASES = [(probe, name) for probe in probes.names() for name in hints(probe)]


@pytest.mark.parametrize(("probe", "name"), CASES)
def test_an_odd_value_of_a_parameter_is_taken_or_refused_in_short(lab: Any, probe: str, name: str) -> None:
    for value in [*ODD, [[]], {}, [{}], [None], [True], [1.5], object(), [10**5000], [np.nan], b"x", set()]:
        with pytest.raises((SpecError, ProbeError, Started)) as end:
            probes.run(lab, probe, **{name: value})
        assert len(str(end.value)) < 700
        assert str(end.value).isprintable()


@pytest.mark.parametrize(("probe", "name"), [case for case in CASES if default_of(*case) is not None])
def test_numpys_numbers_and_arrays_are_taken_as_pythons_own(lab: Any, probe: str, name: str) -> None:
    default = default_of(probe, name)
    given = np.array(default) if isinstance(default, tuple) else np.array([default])[0]
    for run in (probes.run, lambda lab, probe, **words: probes.family(probe).run(lab, **words)):
        with pytest.raises(Started):
            run(lab, probe, **{name: given})


def test_a_result_of_numpys_numbers_is_saved(lab: Any, tmp_path: Path) -> None:
    real: Any = LocalLab.make(tmp_path)
    result = probes.family("chase").run(
        real,
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
