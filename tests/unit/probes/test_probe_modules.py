import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from fame_lab import probes
from fame_lab.errors import SpecError
from fame_lab.results.result import Result
from fame_lab.testing import LocalLab


def test_a_family_is_a_module_with_run_and_plot() -> None:
    names = probes.names()
    assert {"bandwidth", "chase", "pingpong", "timer"} <= set(names)
    assert not {"batches", "clocks", "lines", "places", "sweeps"} & set(names)


@pytest.mark.parametrize("name", ["", "levitate", "lines", "../chase", "os", "chase.run"])
def test_an_unknown_name_lists_what_there_is(name: str) -> None:
    with pytest.raises(SpecError, match=r"there are .*bandwidth, .*pingpong"):
        probes.family(name)


def test_an_unknown_parameter_lists_what_there_is(tmp_path: Path) -> None:
    lab: Any = LocalLab.make(tmp_path)
    with pytest.raises(SpecError, match=r"no parameter 'nodez'; it has .*working_sets"):
        probes.run(lab, "chase", nodez=3)


def test_the_parameters_of_a_probe_can_be_read_with_nothing_else_imported() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import fame_lab; help(fame_lab.probes.chase.run)"],
        capture_output=True,
        text=True,
    )
    assert "working_sets" in done.stdout, done.stderr
    with pytest.raises(AttributeError, match="no attribute 'levitate'"):
        _ = probes.levitate


def test_one_value_does_for_a_sequence(tmp_path: Path) -> None:
    lab: Any = LocalLab.make(tmp_path)
    result = probes.run(lab, "chase", working_sets="4K", memories="fam", batches=np.int64(30))
    assert result.dataset["working_set"].values.tolist() == [4096]


@pytest.mark.parametrize("timeout", [float("nan"), -1, 0, True, "1"])
def test_a_timeout_that_cannot_be_is_refused(tmp_path: Path, timeout: Any) -> None:
    lab: Any = LocalLab.make(tmp_path)
    for probe in ("chase", "bandwidth", "workloads"):
        with pytest.raises(SpecError, match="give 1 to 86400 seconds"):
            probes.run(lab, probe, timeout=timeout)


def test_a_new_probe_is_one_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "heartbeat.py").write_text(
        "from fame_lab.results.result import Result\n"
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
    assert set(result.manifest["timer"]) == {"node01", "node02"}
    assert isinstance(probes.plot(result), Figure)
    del sys.modules["fame_lab.probes.heartbeat"]


def test_a_saved_result_cannot_name_a_module_of_its_choice() -> None:
    with pytest.raises(SpecError, match="there is no probe 'os'"):
        Result("os", xr.Dataset(), {}).plot()
