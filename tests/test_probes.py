import sys
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from local_lab import LocalLab
from matplotlib.figure import Figure

from fame_lab import probes
from fame_lab.errors import SpecError
from fame_lab.results import Result


def test_a_family_is_a_module_with_run_and_plot() -> None:
    found = probes.names()
    assert {"bandwidth", "chase", "pingpong"} <= set(found)
    assert not {"batches", "lines", "places", "sweeps"} & set(found)


@pytest.mark.parametrize("name", ["", "levitate", "lines", "../chase", "os", "chase.run"])
def test_an_unknown_name_lists_what_there_is(name: str) -> None:
    with pytest.raises(SpecError, match=r"there are .*bandwidth, chase, .*pingpong"):
        probes.family(name)


def test_an_unknown_parameter_lists_what_there_is(tmp_path: Path) -> None:
    lab: Any = LocalLab.make(tmp_path)
    with pytest.raises(SpecError, match=r"no parameter 'nodez'; it has .*working_sets"):
        probes.run(lab, "chase", nodez=3)


def test_a_new_probe_is_one_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "heartbeat.py").write_text(
        "from fame_lab.results import Result\n"
        "from matplotlib.figure import Figure\n"
        "import xarray as xr\n"
        "def run(lab, *, beats=3):\n"
        "    return Result('heartbeat', xr.Dataset({'beats': beats}), {})\n"
        "def plot(result):\n"
        "    return Figure()\n"
    )
    monkeypatch.setattr(probes, "__path__", [*probes.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "fame_lab.probes.heartbeat", raising=False)
    lab: Any = LocalLab.make(tmp_path)
    result = probes.run(lab, "heartbeat", beats=5)
    assert int(result.dataset["beats"]) == 5
    assert isinstance(probes.plot(result), Figure)
    del sys.modules["fame_lab.probes.heartbeat"]


def test_a_saved_result_cannot_name_a_module_of_its_choice() -> None:
    with pytest.raises(SpecError, match="there is no probe 'os'"):
        Result("os", xr.Dataset(), {}).plot()
