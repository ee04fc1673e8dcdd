import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from fame_lab.errors import ProbeError, SpecError, SSHError
from fame_lab.probes import locks
from fame_lab.results.result import Result
from fame_lab.testing import LocalLab, LocalNode

SMALL: dict[str, Any] = {"batches": 30, "batch_ms": 1}


@pytest.fixture
def lab(tmp_path: Path) -> Any:
    return LocalLab.make(tmp_path)


def test_every_batch_of_every_node_is_kept_and_exclusion_holds(lab: Any) -> None:
    result = locks.run(lab, **SMALL)
    data = result.dataset
    assert dict(data["rate"].sizes) == {"lock": 3, "node": 2, "batch": 30}
    assert data["lock"].values.tolist() == ["tas", "ticket", "mcs"]
    assert (data["rate"].attrs["units"], data["hand_over"].attrs["units"]) == ("1/s", "ns")
    np.testing.assert_array_equal(data["held"], data["expected"])
    assert (data["expected"] > 0).all()
    assert result.failed == ""
    assert data["oversubscribed"].dtype == bool


def test_each_acquisition_is_the_first_or_a_repeat_or_a_hand_over(lab: Any) -> None:
    data = locks.run(lab, **SMALL).dataset
    np.testing.assert_array_equal(
        data["expected"], 1 + data["all_repeats"].sum("node") + data["hand_overs_held"]
    )
    assert ((data["repeat_share"] >= 0) & (data["repeat_share"] <= 1)).all()
    assert ((data["fairness"] >= 0.5) & (data["fairness"] <= 1)).all()


def test_a_hand_over_takes_a_batch_by_the_hand_overs_in_it(lab: Any) -> None:
    data = locks.run(lab, **SMALL).dataset
    some = data["hand_overs"].values > 0
    assert some.any()
    np.testing.assert_allclose(
        data["hand_over"].values[some], (data["elapsed"] / data["hand_overs"].where(some)).values[some]
    )
    assert np.isnan(data["hand_over"].values[~some]).all()


@pytest.mark.parametrize("lock", locks.LOCKS)
def test_three_nodes_take_turns(tmp_path: Path, lock: str) -> None:
    lab: Any = LocalLab.make(tmp_path, nodes=3)
    result = locks.run(lab, locks=lock, **SMALL)
    assert result.failed == ""
    assert (result.dataset["all_acquisitions"] > 0).all()


def test_it_keeps_to_its_range(lab: Any) -> None:
    lab.fam.write(0, b"\xaa" * 2048)
    locks.run(lab, offset=1024, **SMALL)
    assert lab.fam.read(0, 1024) == b"\xaa" * 1024
    assert lab.fam.read(1024 + 384 + 256, 384) == b"\xaa" * 384


class LyingNode(LocalNode):
    """A node that had the lock five times more often than the counter shows."""

    def probe(self, *words: str, **options: Any) -> list[dict[str, Any]]:
        [line] = super().probe(*words, **options)
        return [line | {"all_acquisitions": line["all_acquisitions"] + 5}]


def test_a_counter_that_lost_increments_makes_a_failed_result(lab: Any) -> None:
    lab.nodes[1] = LyingNode("node02", 1, lab.fam.path)
    result = locks.run(lab, locks="mcs", **SMALL)
    had = int(result.dataset["expected"].item())
    assert result.failed == (
        f"mutual exclusion was violated: mcs: the counter holds {had - 5:,} of {had:,} acquisitions"
    )
    assert "FAILED: mutual exclusion was violated" in result.plot().get_suptitle()


def test_hand_overs_that_do_not_add_up_make_a_failed_result(lab: Any) -> None:
    class ForgetfulNode(LocalNode):
        def probe(self, *words: str, **options: Any) -> list[dict[str, Any]]:
            [line] = super().probe(*words, **options)
            none = {"repeats": [0] * 30, "window_repeats": 0, "all_repeats": 0}
            return [line | none]

    lab.nodes[:] = [ForgetfulNode(node.name, node.index, lab.fam.path) for node in lab.nodes]
    result = locks.run(lab, locks="tas", outside=0, **SMALL)
    assert "hand-overs were counted" in result.failed


class DyingHolder(LocalNode):
    """A node that is killed while it has a test-and-set lock."""

    def probe(self, *words: str, **_: Any) -> list[dict[str, Any]]:
        rank = int(words[words.index("--rank") + 1])
        with (
            subprocess.Popen(self.command(words), stdout=subprocess.PIPE) as running,
            self.fam.open("rb", buffering=0) as file,
        ):
            while running.poll() is None:
                time.sleep(0.001)
                running.send_signal(signal.SIGSTOP)
                # It runs on until it has seen the signal, and may let go of the lock meanwhile.
                os.waitid(os.P_PID, running.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
                file.seek(0)
                if int.from_bytes(file.read(8), "little") == rank + 1:
                    break
                running.send_signal(signal.SIGCONT)
            running.kill()
        raise SSHError(f"{self.name} went away")


def test_a_node_that_dies_with_the_lock_releases_the_others(lab: Any) -> None:
    lab.nodes[1] = DyingHolder("node02", 1, lab.fam.path)
    with pytest.raises(ProbeError, match=r"node02 had done \d+ batches when it failed: .* one was released"):
        locks.run(lab, locks="tas", batches=1000, batch_ms=100, peer_timeout=1000)
    # It died with the lock, and nobody else took it.
    assert int.from_bytes(lab.fam.read(0, 8), "little") == 2


def test_a_lock_that_is_never_released_ends_the_wait(lab: Any) -> None:
    class Impatient(LocalNode):
        def probe(self, *words: str, **options: Any) -> list[dict[str, Any]]:
            with self.fam.open("r+b") as file:
                file.write((77).to_bytes(8, "little"))  # as if some node had it
            return super().probe(*words, **options)

    lab.nodes[:] = [Impatient(node.name, node.index, lab.fam.path) for node in lab.nodes]
    with pytest.raises(ProbeError, match="no sign of the lock within 1 s"):
        locks.run(lab, locks="tas", peer_timeout=1, **SMALL)
    with pytest.raises(ProbeError, match="holds 77, which is no node"):
        locks.run(lab, locks="mcs", peer_timeout=1, **SMALL)


@pytest.mark.parametrize(
    "parameters",
    [
        {"offset": 4 << 20},
    ],
)
def test_a_parameter_that_cannot_be_is_refused(lab: Any, parameters: dict[str, Any]) -> None:
    with pytest.raises(SpecError):
        locks.run(lab, **parameters)


def test_one_node_alone_gives_no_number(lab: Any) -> None:
    with pytest.raises(ProbeError, match="this takes 2 nodes"):
        locks.run(lab, nodes=["node01"])


def test_more_repeats_than_acquisitions_give_no_number(lab: Any) -> None:
    class OddNode(LocalNode):
        def probe(self, *words: str, **options: Any) -> list[dict[str, Any]]:
            [line] = super().probe(*words, **options)
            return [line | {"all_repeats": line["all_acquisitions"] + 1}]

    lab.nodes[0] = OddNode("node01", 0, lab.fam.path)
    with pytest.raises(ProbeError, match="node01: the probe counted more repeats than acquisitions"):
        locks.run(lab, locks="ticket", **SMALL)


def test_the_plot_says_what_it_shows_from_data_alone(lab: Any, tmp_path: Path) -> None:
    locks.run(lab, **SMALL).save(tmp_path / "kept")
    figure = Result.load(tmp_path / "kept").plot()
    times, shares = figure.axes
    assert (times.get_xscale(), times.get_xlabel()) == ("log", "time of a hand-over [µs]")
    assert shares.get_legend_handles_labels()[1] == ["fairness (Jain)", "same node again"]
    assert [label.split(":")[0] for label in times.get_legend_handles_labels()[1]] == list(locks.LOCKS)
    assert "a batch's, over the hand-overs between any nodes in it" in figure.get_supxlabel()
    assert "emulated (TCG on this host): not a fabric's latency" in figure.get_supxlabel()


def test_a_lock_that_never_changed_hands_is_drawn_all_the_same(lab: Any) -> None:
    result = locks.run(lab, locks="tas", **SMALL)
    data = result.dataset
    data["hand_over"][:] = np.nan
    data["hand_over_summary"][:] = np.nan
    assert result.plot().axes


def test_more_nodes_than_cores_are_flagged(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    result = locks.run(lab, locks="ticket", **SMALL)
    assert bool(result.dataset["oversubscribed"])
    assert "oversubscribed" in result.plot().get_supxlabel()


def test_nodes_of_different_speeds_do_not_make_the_hand_over_s_median_unknown() -> None:
    fast_and_slow = np.array([[10.0], [20.0]]) + np.random.default_rng(0).normal(size=(2, 50))
    statistics = locks._summary_of_some(xr.DataArray(fast_and_slow, dims=("node", "batch")))
    low, high = statistics.sel(statistic=["p50_low", "p50_high"]).values
    assert low <= 15 <= high
