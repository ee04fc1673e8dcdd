import inspect
from typing import Any

import pytest

from fame_lab import probes
from fame_lab.probes.common.declaration import declarations
from fame_lab.probes.common.parameter_types import fits, takes_several


def hints(probe: str) -> dict[str, Any]:
    return {name: each.type for name, each in declarations(probes.family(probe).run).items()}


@pytest.mark.parametrize("name", probes.names())
def test_every_default_fits_the_type_of_its_parameter(name: str) -> None:
    for parameter, kind in hints(name).items():
        default = inspect.signature(probes.family(name).run).parameters[parameter].default
        assert fits(default, kind), parameter


def test_a_value_of_another_kind_does_not_fit() -> None:
    kinds = hints("chase")
    assert not fits("many", kinds["batches"])
    assert not fits(1.5, kinds["batches"])
    assert not fits(True, kinds["batches"])
    assert not fits(float("nan"), kinds["batch_ms"])
    assert not fits({"a": 1}, kinds["strides"])
    assert not fits([[64]], kinds["strides"])
    assert not fits("some", hints("pingpong")["pairs"])


def test_one_value_stands_for_several() -> None:
    assert fits("dram", hints("chase")["memories"])
    assert takes_several(hints("chase")["strides"]) and not takes_several(hints("chase")["batches"])
