import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fame_lab.errors import CommandError, ProbeError, SpecError, SSHError
from fame_lab.probes import loaded_latency
from fame_lab.results.result import Result
from fame_lab.testing import LocalLab, LocalNode

QUICK: dict[str, Any] = {"delays": [0, 100], "working_set": "64K", "batches": 30}


@pytest.fixture
def lab(tmp_path: Path) -> Any:
    return LocalLab.make(tmp_path)


def test_every_batch_is_kept_with_the_load_that_it_was_under(lab: Any) -> None:
    result = loaded_latency.run(lab, **QUICK, seed=5)
    data = result.dataset
    assert dict(data["latency"].sizes) == {"delay": 3, "batch": 30}
    assert data["delay"].values.tolist() == [np.inf, 0, 100]
    assert data["latency"].attrs["units"] == "ns"
    assert data["bandwidth"].attrs["units"] == "GB/s"
    assert data["preempted"].dtype == bool
    assert (data["latency"] > 0).all()
    assert (data["bandwidth"].sel(delay=np.inf) == 0).all()
    assert (data["achieved"].sel(delay=[0, 100]) > 0).all()
    assert data["oversubscribed"].dtype == bool
    assert result.manifest["seed"] == 5
    assert result.manifest["parameters"]["loaders"] == ["node02"]


@pytest.mark.parametrize("operation", loaded_latency.OPERATIONS)
def test_each_node_keeps_to_a_range_of_its_own(lab: Any, operation: str) -> None:
    size = 64 << 10
    lab.fam.write(4096, b"\xaa" * 3 * size)
    loaded_latency.run(lab, **QUICK, operation=operation, offset=8192)
    assert lab.fam.read(4096, 4096) == b"\xaa" * 4096
    moved = lab.fam.read(8192 + size, size)
    assert moved == (bytes(range(8, 0, -1)) if operation == "write" else b"\xaa" * 8) * (size // 8)
    assert lab.fam.read(8192 + 2 * size, 4096) == b"\xaa" * 4096


def test_the_default_working_set_is_what_fits_for_every_node(tmp_path: Path) -> None:
    lab: Any = LocalLab.make(tmp_path, nodes=3)
    result = loaded_latency.run(lab, delays=[0], batches=30, node="node02")
    assert result.dataset.attrs["working_set"] == 1 << 20
    assert result.dataset.attrs["loaders"] == "node01 node03"


def test_one_node_alone_gives_no_number(tmp_path: Path) -> None:
    lab: Any = LocalLab.make(tmp_path, nodes=1)
    with pytest.raises(ProbeError, match="this takes 2 or more"):
        loaded_latency.run(lab, **QUICK)


def test_a_node_cannot_load_fam_while_it_chases(lab: Any) -> None:
    with pytest.raises(ProbeError, match="node01 chases"):
        loaded_latency.run(lab, **QUICK, loaders=[0, 1])


@pytest.mark.parametrize(
    "parameters",
    [
        {"working_set": "2M"},
        {"offset": "4M"},
    ],
)
def test_a_parameter_that_cannot_be_is_refused(lab: Any, parameters: dict[str, Any]) -> None:
    with pytest.raises(SpecError):
        loaded_latency.run(lab, **QUICK | parameters)


class DyingNode(LocalNode):
    """A loader that goes away when the others are at it."""

    def probe(self, *words: str, **options: Any) -> list[dict[str, Any]]:
        at = words.index("--stop") + 1
        # It loads until another word than the one that ends it is set.
        died = threading.Timer(0.3, lambda: self._write(0x8000 - 8))
        died.start()
        super().probe(*words[:at], str(self.control + 0x8000 - 8), *words[at + 1 :], **options)
        raise SSHError(f"{self.name} went away during the probe")

    @property
    def control(self) -> int:
        return self.fam.stat().st_size - (64 << 10)

    def _write(self, at: int) -> None:
        with self.fam.open("r+b") as file:
            file.seek(self.control + at)
            file.write(b"\1")


def test_a_loader_that_dies_is_named_and_the_chase_is_released(lab: Any) -> None:
    lab.nodes[1] = DyingNode("node02", 1, lab.fam.path)
    with pytest.raises(ProbeError, match=r"node02 had done \d+ batches or lines .* other one was released"):
        loaded_latency.run(lab, **QUICK | {"batches": 1000})


class AbsentNode(LocalNode):
    """A node whose program fails at once."""

    def probe(self, *_: str, **__: Any) -> list[dict[str, Any]]:
        raise CommandError(f"{self.name} has no such program")


@pytest.mark.parametrize("absent", [0, 1])
def test_a_node_that_never_comes_ends_it(lab: Any, absent: int) -> None:
    name = f"node0{absent + 1}"
    lab.nodes[absent] = AbsentNode(name, absent, lab.fam.path)
    with pytest.raises(ProbeError, match=f"{name} had done 0 batches or lines when it failed"):
        loaded_latency.run(lab, **QUICK)


class LyingNode(LocalNode):
    """A node that changes one member of its line."""

    lie: Any = None

    def probe(self, *words: str, **options: Any) -> list[dict[str, Any]]:
        [line] = super().probe(*words, **options)
        return [line | type(self).lie]


@pytest.mark.parametrize(
    ("node", "lie"),
    [
        (0, {"window_ns": [1] * 30}),
        (0, {"window_ns": []}),
        (0, {"lines": [-1] * 30}),
        (0, {"loads": 0}),
        (0, {"probe": "pressure"}),
        (1, {"lines": 0}),
        (1, {"lines": "many"}),
    ],
)
def test_counts_that_do_not_agree_give_no_number(
    lab: Any, node: int, lie: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.nodes[node] = LyingNode(f"node0{node + 1}", node, lab.fam.path)
    monkeypatch.setattr(LyingNode, "lie", lie)
    with pytest.raises(ProbeError, match="node0"):
        loaded_latency.run(lab, **QUICK)


def test_the_plot_says_what_it_shows_from_data_alone(lab: Any, tmp_path: Path) -> None:
    loaded_latency.run(lab, **QUICK).save(tmp_path / "kept")
    figure = Result.load(tmp_path / "kept").plot()
    [axes] = figure.axes
    assert figure.get_suptitle() == "Latency of a dependent load on node01 under reads of FAM by node02"
    assert axes.get_xlabel() == "load that the others achieved [GB/s]"
    assert axes.get_ylabel() == "latency of a load [ns]"
    assert axes.get_legend_handles_labels()[1] == ["without load", "under load"]
    assert {text.get_text() for text in axes.texts} == {"0", "100"}
    assert "emulated (TCG on this host): not a fabric's latency" in figure.get_supxlabel()
    assert "n = 30 batches" in figure.get_supxlabel()


def test_too_few_cores_are_flagged(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    result = loaded_latency.run(lab, **QUICK | {"delays": [0]})
    assert bool(result.dataset["oversubscribed"])
    figure = result.plot()
    assert "oversubscribed" in figure.get_supxlabel()
    labels = figure.axes[0].get_legend_handles_labels()[1]
    assert labels == ["without load", "under load: oversubscribed, see below"]
    [curve] = (line for line in figure.axes[0].lines if line.get_label() == labels[1])
    assert (curve.get_linestyle(), curve.get_markerfacecolor()) == ("--", "white")
