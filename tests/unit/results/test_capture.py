import contextvars
import threading
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from made_traffic import a_trace, some_samples

from fame_lab import probes
from fame_lab.errors import HostError
from fame_lab.results.capture import DATA_VARIABLE, CapturedResults, keep, kept_as_one
from fame_lab.results.result import Result
from fame_lab.testing import LocalLab
from fame_lab.traffic.traffic import Traffic


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "data"))
    return tmp_path / "data"


def result(rate: float = 1.0) -> Result:
    return Result("made", xr.Dataset({"rate": ("batch", [rate])}), {"seed": 5})


def refuse(place: Path) -> None:
    raise HostError("no room")


def test_nothing_is_kept_where_no_report_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    keep("made", refuse)
    assert list(tmp_path.iterdir()) == []


def test_what_is_kept_is_numbered_in_order_and_can_be_loaded(place: Path) -> None:
    keep("made", result(1).save)
    keep("other", result(2).save)
    assert sorted(path.name for path in place.iterdir()) == ["001-made", "002-other"]
    assert Result.load(place / "002-other").dataset["rate"].item() == 2


def test_a_manifest_tells_cell_and_kind_and_provenance(place: Path) -> None:
    captures = CapturedResults(place)
    keep("made", result().save)
    captures.look(3)
    captures.look(4)
    keep("made", result().save)
    captures.look(5)
    assert captures.results() == [
        {
            "cell": cell,
            "kind": "result",
            "name": "made",
            "directory": f"data/00{number}-made",
            "label": "emulated",
            "manifest": {"seed": 5},
        }
        for number, cell in [(1, 3), (2, 5)]
    ]
    assert captures.missing() == []


@pytest.mark.parametrize(("traffic", "label"), [(a_trace({}), "traced"), (some_samples({0: 1}), "sampled")])
def test_a_recording_is_labelled_by_its_source(place: Path, traffic: Traffic, label: str) -> None:
    captures = CapturedResults(place)
    keep("traffic", traffic.save)
    captures.look(1)
    assert [(each["kind"], each["label"]) for each in captures.results()] == [("traffic", label)]


def test_what_cannot_be_saved_is_told_and_missing_and_ends_nothing(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    captures = CapturedResults(place)
    keep("made", refuse)
    keep("made", result().save)
    captures.look(1)
    assert "the report will be without the data of made: no room" in caplog.text
    assert captures.missing() == [{"cell": 1, "name": "made"}]
    assert [each["directory"] for each in captures.results()] == ["data/002-made"]


def test_what_is_part_of_another_is_not_kept_by_itself(place: Path) -> None:
    with kept_as_one():
        keep("made", result().save)
    keep("made", result().save)
    assert [path.name for path in place.iterdir()] == ["001-made"]


def test_several_threads_have_numbers_of_their_own(place: Path) -> None:
    threads = [
        threading.Thread(target=contextvars.copy_context().run, args=(keep, "made", result().save))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.name for path in place.iterdir()) == [f"00{number}-made" for number in range(1, 9)]


def test_a_probe_keeps_what_it_measured(place: Path, tmp_path: Path) -> None:
    lab: Any = LocalLab.make(tmp_path)
    timer_result = probes.run(lab, "timer", batches=30, batch_ms=1)
    assert Result.load(place / "001-timer").dataset.equals(timer_result.dataset)
