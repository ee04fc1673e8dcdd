import json
import logging
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from repository import SUPPORT
from stand_in_lab import StandInLab

import fame_lab
from fame_lab import Sweep, compare, sweep
from fame_lab.cli import main
from fame_lab.core.jobs.progress import listen
from fame_lab.errors import HostError, ProbeError, SpecError
from fame_lab.experiments.sweep import point_runner
from fame_lab.results.capture import DATA_VARIABLE, CapturedResults
from fame_lab.spec.lab_spec import LabSpec

OVER: dict[str, Any] = {"nodes": [1, 2], "stride": [64, 128]}


@pytest.fixture
def labs(monkeypatch: pytest.MonkeyPatch) -> type[StandInLab]:
    stand_in = StandInLab.fresh()
    monkeypatch.setattr(point_runner, "Lab", stand_in)
    return stand_in


def fail(labs: type[StandInLab], error: Exception, **where: Any) -> None:
    def hook(spec: LabSpec, parameters: dict[str, Any]) -> None:
        if all((spec.to_dict() | parameters)[name] == value for name, value in where.items()):
            raise error

    labs.hook = staticmethod(hook)


def test_the_package_has_it_by_its_name() -> None:
    assert callable(fame_lab.sweep)
    assert "sweep" in fame_lab.__all__


def test_every_point_is_measured_in_a_lab_that_is_started_once_a_repeat(
    labs: type[StandInLab], tmp_path: Path
) -> None:
    dataset = sweep("chase", OVER, repeats=2, directory=tmp_path)
    assert dataset["latency"].notnull().any(["memory", "node", "batch"]).all()
    assert len(labs.requests) == 8
    assert len(labs.started) == 2 * 2 and labs.stopped == labs.started
    assert len({spec.name for spec in labs.started}) == 4


def test_what_is_done_is_not_measured_again(labs: type[StandInLab], tmp_path: Path) -> None:
    first = sweep("chase", OVER, repeats=1, directory=tmp_path)
    count = len(labs.requests)
    xr.testing.assert_identical(sweep("chase", OVER, repeats=1, directory=tmp_path), first)
    xr.testing.assert_identical(Sweep.load(tmp_path).dataset, first)
    assert len(labs.requests) == count


def test_the_same_call_finds_its_directory_and_another_has_its_own(
    labs: type[StandInLab], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sweep("chase", OVER, repeats=1)
    sweep("chase", OVER, repeats=1)
    assert len(labs.requests) == 4
    sweep("chase", OVER, repeats=1, batches=50)
    assert len(list((tmp_path / "sweeps").iterdir())) == 2


def test_a_sweep_that_was_asked_for_otherwise_is_refused(labs: type[StandInLab], tmp_path: Path) -> None:
    sweep("chase", OVER, repeats=1, directory=tmp_path)
    with pytest.raises(SpecError, match="repeats was 1 and is 2: ask for the same, or"):
        sweep("chase", OVER, repeats=2, directory=tmp_path)


def test_a_sweep_that_has_measured_nothing_can_be_asked_for_otherwise(
    labs: type[StandInLab], tmp_path: Path
) -> None:
    fail(labs, SpecError("none such"), nodes=1)
    with pytest.raises(SpecError, match="none such"):
        sweep("chase", {"nodes": [1]}, repeats=1, directory=tmp_path)
    assert sweep("chase", {"nodes": [2]}, repeats=1, directory=tmp_path)["nodes"].values.tolist() == [2]


def test_a_directory_with_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis").touch()
    with pytest.raises(SpecError, match="holds 'thesis' and is no sweep"):
        sweep("chase", OVER, directory=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis"]


def test_two_sweeps_in_one_directory_at_a_time_are_refused(labs: type[StandInLab], tmp_path: Path) -> None:
    refused = []

    def hook(spec: LabSpec, parameters: dict[str, Any]) -> None:
        with pytest.raises(SpecError, match="another sweep is at work in"):
            sweep("chase", OVER, repeats=1, directory=tmp_path)
        refused.append(spec)

    labs.hook = staticmethod(hook)
    sweep("chase", OVER, repeats=1, directory=tmp_path)
    assert len(refused) == 4


def test_a_point_that_fails_does_not_end_the_sweep_and_is_tried_again(
    labs: type[StandInLab], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fail(labs, ProbeError("too small to tell"), nodes=2, strides=64)
    with caplog.at_level(logging.WARNING):
        dataset = sweep("chase", OVER, repeats=2, directory=tmp_path)
    assert dataset.attrs["missing"] == 2
    assert "2 points of the sweep could not be measured: nodes=2, stride=64" in caplog.text
    assert (dataset["error"].sel(nodes=2, stride=64) == "ProbeError: too small to tell").all()
    assert (dataset["error"].sel(nodes=1) == "").all()
    before = len(labs.requests)
    fail(labs, ProbeError("never"), nodes=40)
    again = sweep("chase", OVER, repeats=2, directory=tmp_path)
    assert len(labs.requests) == before + 2
    assert again.attrs["missing"] == 0 and again.attrs["errors"] == "" and (again["error"] == "").all()


def test_what_failed_is_not_followed_in_the_same_lab(labs: type[StandInLab], tmp_path: Path) -> None:
    fail(labs, ProbeError("no"), strides=64)
    sweep("chase", {"stride": [64, 128, 256]}, repeats=1, directory=tmp_path)
    failed = next(spec for spec, parameters in labs.requests if parameters["strides"] == 64)
    assert [spec for spec, _ in labs.requests].index(failed) == len(labs.requests) - 1 or len(
        labs.started
    ) == 2
    assert labs.stopped == labs.started


def test_a_host_that_cannot_measure_ends_the_sweep_and_what_is_done_stays(
    labs: type[StandInLab], tmp_path: Path
) -> None:
    fail(labs, HostError("the disk is full"), nodes=2)
    with pytest.raises(HostError, match="the disk is full"):
        sweep("chase", OVER, repeats=4, directory=tmp_path)
    assert labs.stopped == labs.started
    done = len(list((tmp_path / "points").iterdir()))
    assert done == len(labs.requests) - 1


def test_ctrl_c_leaves_no_lab_and_what_is_done_stays(labs: type[StandInLab], tmp_path: Path) -> None:
    def hook(spec: LabSpec, parameters: dict[str, Any]) -> None:
        if len(labs.requests) == 3:
            raise KeyboardInterrupt

    labs.hook = staticmethod(hook)
    with pytest.raises(KeyboardInterrupt):
        sweep("chase", OVER, repeats=1, directory=tmp_path)
    assert labs.stopped == labs.started
    sweep("chase", OVER, repeats=1, directory=tmp_path)
    assert len(labs.requests) == 4 + 1


def test_what_the_probe_refuses_at_the_first_point_ends_the_sweep(
    labs: type[StandInLab], tmp_path: Path
) -> None:
    fail(labs, SpecError("batches is 3: give 30 to 1000"))
    with pytest.raises(SpecError, match="ended at its first point: batches is 3"):
        sweep("chase", OVER, directory=tmp_path)
    assert len(labs.requests) == 1


def test_a_sweep_of_which_nothing_could_be_measured_says_why(labs: type[StandInLab], tmp_path: Path) -> None:
    fail(labs, ProbeError("no clock"))
    with pytest.raises(ProbeError, match=r"no point of the sweep .* has been measured: ProbeError: no clock"):
        sweep("chase", OVER, repeats=1, directory=tmp_path)


def test_progress_is_told_in_points(labs: type[StandInLab], tmp_path: Path) -> None:
    steps = []
    with listen(lambda *step: steps.append(step)):
        sweep("chase", OVER, repeats=1, directory=tmp_path)
    assert steps[0][:2] == (0, 4) and steps[-1][:2] == (4, 4)


def test_a_sweep_that_goes_on_says_how_much_was_done_before(labs: type[StandInLab], tmp_path: Path) -> None:
    steps = []
    fail(labs, ProbeError("no"), nodes=2)
    sweep("chase", OVER, repeats=1, directory=tmp_path)
    with listen(lambda *step: steps.append(step)):
        sweep("chase", OVER, repeats=1, directory=tmp_path)
    assert steps[0] == (0, 2, "sweep of chase, 2 points done before")


KILLED = """
import json, os, signal, sys
sys.path.insert(0, {tests!r})
from stand_in_lab import StandInLab
from fame_lab import sweep
from fame_lab.experiments.sweep import point_runner as bench

def hook(spec, parameters):
    with open(sys.argv[2], "a") as file:
        print(spec.nodes, parameters["strides"], file=file)
    if len(labs.requests) == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

bench.Lab = labs = StandInLab.fresh(hook)
statuses = []
for _ in range(3):
    # A fork has imported all that the sweep needs.
    if (child := os.fork()) == 0:
        over = {{"nodes": [1, 2], "stride": [64, 128]}}
        sweep("chase", over, repeats=2, directory=sys.argv[1], progress=False)
        os._exit(0)
    statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(json.dumps(statuses))
"""


def test_killed_again_and_again_it_measures_each_point_once_but_those_at_work(tmp_path: Path) -> None:
    script = KILLED.format(tests=str(SUPPORT))
    words = [sys.executable, "-c", script, str(tmp_path / "sweep"), str(tmp_path / "log"), "4"]
    done = subprocess.run(words, timeout=240, check=True, stdout=subprocess.PIPE)
    assert json.loads(done.stdout) == [-signal.SIGKILL, -signal.SIGKILL, 0]
    assert len((tmp_path / "log").read_text().splitlines()) == 8 + 2
    assert Sweep.load(tmp_path / "sweep").dataset.attrs["missing"] == 0


def test_a_kill_while_a_point_is_saved_leaves_no_half(labs: type[StandInLab], tmp_path: Path) -> None:
    sweep("chase", OVER, repeats=1, directory=tmp_path)
    half = tmp_path / "points" / ".000001-abc"
    (tmp_path / "points" / "000001").rename(half)
    (tmp_path / ".sweep-xyz").touch()
    assert Sweep.load(tmp_path).dataset.attrs["missing"] == 1
    sweep("chase", OVER, repeats=1, directory=tmp_path)
    assert not half.exists() and not (tmp_path / ".sweep-xyz").exists()
    assert len(labs.requests) == 5


def test_a_sweep_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="holds no sweep that can be read"):
        Sweep.load(tmp_path)
    (tmp_path / "plan.json").write_text("[" * 100_000)
    with pytest.raises(SpecError, match="holds no sweep that can be read"):
        Sweep.load(tmp_path)


def test_on_the_command_line(
    labs: type[StandInLab], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sweep", "chase", "--over", "nodes=1,2", "--over", "stride=64,4K", "--repeats", "1"]
    words += ["--output", str(tmp_path / "out"), "-p", "batches=50", "--plot", str(tmp_path / "sweep.png")]
    assert main.main(words) == 0
    assert "latency" in capsys.readouterr().out
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")
    assert {parameters["strides"] for _, parameters in labs.requests} == {64, 4096}
    assert all(parameters["batches"] == 50 for _, parameters in labs.requests)
    fail(labs, ProbeError("no"), nodes=2)
    assert main.main([*words[:7], "2", *words[8:9], str(tmp_path / "other"), "--json"]) == 1
    output = capsys.readouterr()
    assert '"missing": 4' in output.out and "could not be measured: nodes=2" in output.err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--over", "nodes=1", "--over", "nodes=2"], "--over nodes is given twice"),
        (["--over", "nodes=1", "-p", "seed=3"], "give --over seed=... with one value"),
        (["--over", "nodes=1", "--plot", "x.doc"], "ends in .png, .svg or .pdf"),
    ],
)
def test_words_that_contradict_each_other_are_said(
    words: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["sweep", "chase", *words, "--output", str(tmp_path)]) == 1
    assert complaint in capsys.readouterr().err


def test_without_dask_a_cluster_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "fame_lab.experiments.sweep.dask_cluster", raising=False)
    monkeypatch.delattr("fame_lab.experiments.sweep.dask_cluster", raising=False)
    with pytest.raises(HostError, match=r"pip install 'fame_lab\[cluster\]'"):
        sweep("chase", OVER, directory=tmp_path, cluster="tcp://127.0.0.1:1")


def test_a_report_keeps_a_sweep_as_one_with_what_its_points_have_in_common(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labs: type[StandInLab]
) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "data"))
    dataset = sweep("chase", OVER, repeats=1, directory=tmp_path / "sweep")
    captures = CapturedResults(tmp_path / "data")
    captures.look(2)
    (entry,) = captures.results()
    assert (entry["kind"], entry["directory"]) == ("sweep", "data/001-sweep_of_chase")
    assert entry["manifest"]["accelerator"] == {"kind": "tcg", "reason": "a stand-in"}
    assert "spec" not in entry["manifest"]
    xr.testing.assert_identical(Sweep.load(tmp_path / entry["directory"]).dataset, dataset)
    assert compare(tmp_path / entry["directory"], dataset).agrees
