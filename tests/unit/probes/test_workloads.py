import mmap
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fame_lab.errors import CommandError, ProbeError, SpecError, SSHError
from fame_lab.probes import workloads
from fame_lab.results.result import Result
from fame_lab.testing import LocalLab, LocalNode

SMALL: dict[str, Any] = {"size": "64K", "operations": 1 << 17}


@pytest.fixture
def lab(tmp_path: Path) -> Any:
    return LocalLab.make(tmp_path)


def test_every_batch_of_every_workload_is_kept_with_units(lab: Any) -> None:
    result = workloads.run(lab, **SMALL, placement="interleaved", seed=7)
    data = result.dataset
    assert data["workload"].values.tolist() == list(workloads.WORKLOADS)
    assert dict(data["rate"].sizes) == {"workload": 9, "node": 2, "batch": 30}
    assert dict(data["loads"].sizes) == {"workload": 9, "initiator": 2, "home": 2}
    assert data["loads"].dtype == data["stores"].dtype == np.uint64
    assert (data["rate"].attrs["units"], data["bandwidth"].attrs["units"]) == ("operations/s", "GB/s")
    assert (data["rate"] > 0).all()
    assert data["preempted"].dtype == bool
    np.testing.assert_allclose(
        data["bandwidth"], 8e-9 * data["rate"] * data["accesses"] / data["operations"], rtol=1e-12
    )
    assert (
        data["loads"].sum("home").values + data["stores"].sum("home").values >= data["accesses"].sum("batch")
    ).all()
    assert result.manifest["seed"] == 7
    assert result.manifest["parameters"]["operations"] == 1 << 17
    assert not result.failed
    assert not data["errors"].drop_sel(workload="gups").any()


@pytest.mark.parametrize(("placement", "share"), [("own", 0), ("remote", 1), ("interleaved", 0.5)])
def test_the_share_of_remote_accesses_is_that_of_the_placement(
    lab: Any, placement: str, share: float
) -> None:
    data = workloads.run(lab, **SMALL, workloads="sequential", placement=placement).dataset
    assert data["remote_share"].values == pytest.approx(share)


def test_histogram_stands_for_both_of_its_kinds(lab: Any) -> None:
    data = workloads.run(lab, **SMALL, workloads="histogram").dataset
    assert data["workload"].values.tolist() == ["histogram-shared", "histogram-private"]


def test_more_operations_a_batch_are_asked_for_where_the_clock_needs_it(lab: Any) -> None:
    with pytest.raises(ProbeError, match=r"ask for [0-9]+ times as many operations a batch"):
        workloads.run(lab, workloads="sequential", operations=1, nodes=[0])


@pytest.mark.parametrize(
    "parameters",
    [
        {"workloads": ["histogram", "histogram-private"]},
        {"size": "64M"},
        {"stride": 24},
    ],
)
def test_a_parameter_that_cannot_be_is_refused(lab: Any, parameters: dict[str, Any]) -> None:
    with pytest.raises(SpecError):
        workloads.run(lab, **parameters)


def test_a_node_that_is_not_there_gives_no_number(lab: Any) -> None:
    with pytest.raises(ProbeError, match="there is no node 2"):
        workloads.run(lab, nodes=[0, 2])


class Tampering(LocalNode):
    """A node that changes what it tells."""

    changed: dict[str, Any]

    def probe(self, *words: str, **options: Any) -> list[dict[str, Any]]:
        [line] = super().probe(*words, **options)
        return [
            line | {key: value(line) if callable(value) else value for key, value in self.changed.items()}
        ]


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"operations": 1 << 50}, "'operations' as 1125899906842624"),
        ({"warm_up": 0}, "'warm_up' as 0"),
        ({"name": "kv"}, "'name' as 'kv'"),
        ({"private_loads": []}, "'private_loads' as"),
        ({"private_loads": [0]}, "counted 0 accesses, of them 3932160 in batches"),
        ({"private_stores": [-1]}, "a whole number"),
        ({"shared_loads": [1]}, "a list of 0"),
        (
            {"accesses": lambda line: [count + 1 for count in line["accesses"]]},
            "makes 131072 accesses a batch",
        ),
        ({"batch_ns": [1] * 30}, "over 1 % of a batch"),
        ({"torn": "none"}, "'torn' as 'none'"),
        ({"writes": 4325377}, "'writes' as 4325377"),
    ],
)
def test_a_node_whose_counts_cannot_be_gives_no_number(
    lab: Any, changed: dict[str, Any], complaint: str
) -> None:
    lab.nodes[1] = Tampering("node02", 1, lab.fam.path)
    object.__setattr__(lab.nodes[1], "changed", changed)
    with pytest.raises(ProbeError, match=complaint):
        workloads.run(lab, **SMALL, workloads="random")


class Absent(LocalNode):
    """A node that never comes."""

    def probe(self, *_: str, **__: Any) -> list[dict[str, Any]]:
        return []


class Dying(LocalNode):
    """A node that goes away in the middle."""

    def probe(self, *words: str, **_: Any) -> list[dict[str, Any]]:
        with self.fam.open("r+b") as file:
            file.seek(int(words[words.index("--progress") + 1]))
            file.write((5).to_bytes(8, "little"))
        raise SSHError(f"{self.name} went away during the probe")


def test_a_node_that_never_comes_ends_the_run(lab: Any) -> None:
    lab.nodes[1] = Absent("node02", 1, lab.fam.path)
    with pytest.raises(ProbeError, match="1 of 2 parties came to the barrier"):
        workloads.run(lab, **SMALL, workloads="gups", peer_timeout=1)


def test_a_node_that_dies_is_named_with_how_far_it_got_and_the_others_are_released(lab: Any) -> None:
    lab.nodes[1] = Dying("node02", 1, lab.fam.path)
    with pytest.raises(
        ProbeError, match=r"node02 had done 5 batches when it failed: .*other one was released"
    ):
        workloads.run(lab, **SMALL, workloads="gups", peer_timeout=3600)


def alone(lab: Any, name: str, *words: str) -> list[dict[str, Any]]:
    """Run the program on one node, without the host's part."""
    meeting = ["--barrier", str(lab.fam.control.barrier(0)), "--parties", "1"]
    common = ["--fam", "/dev/fam", "--rank", "0", "--operations", "100000", "--book", "4096", "--every", "1"]
    lines: list[dict[str, Any]] = lab.nodes[0].probe("workload", name, *common, *meeting, *words)
    return lines


def test_a_node_that_was_released_ends_between_batches(lab: Any) -> None:
    release = lab.fam.control.release(0)
    lab.fam.write(release, (1).to_bytes(8, "little"))
    with pytest.raises(CommandError, match="released after 0 batches"):
        alone(lab, "random", "--private", "65536,0,4096", "--private-homes", "0", "--release", str(release))


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("gups", "gups takes --shared alone"),
        ("sorting", "there is no workload 'sorting'"),
        ("random --private 4096,0 --private-homes 0", "SIZE,START,STRIPE"),
        ("random --private 4096,0,8192 --private-homes 0", "a stripe of 8192 bytes"),
        ("random --private 4096,0,2048 --private-homes 0", "a stripe of 2048 bytes"),
        ("random --private 4096,8,4096 --private-homes 0", "from 8 on"),
        ("random --private 4,0,4096 --private-homes 0", "4 bytes cannot be spread"),
        ("random --private 4096,0,4096 --private-homes 4194304", "are outside FAM"),
        ("strided --private 4096,0,4096 --private-homes 0 --stride 24", "divides the 4096 bytes"),
    ],
)
def test_the_program_refuses_what_cannot_be(lab: Any, words: str, complaint: str) -> None:
    with pytest.raises(CommandError, match=complaint):
        alone(lab, *words.split())


class Spoiling(LocalNode):
    """A node that stores something to the first word of FAM once it has ended."""

    def probe(self, *words: str, **options: Any) -> list[dict[str, Any]]:
        lines = super().probe(*words, **options)
        with self.fam.open("r+b") as file:
            was = int.from_bytes(file.read(8), "little")
            file.seek(0)
            file.write((was ^ 1).to_bytes(8, "little"))
        return lines


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("stream", "stream: 1 of 8190 elements of the arrays are not what STREAM makes them"),
        ("gups", "gups: 1 of 8192 words of the table are not what one node's updates make them"),
        ("histogram-shared", "1 of 4096 bins are wrong: 4325376 samples were added and 43253"),
        ("histogram-private", "1 of 4096 bins are wrong: 4325376 samples were added and 43253"),
        ("kv", "1 of 1024 records hold a value that nobody wrote"),
    ],
)
def test_what_must_not_be_and_is_fails_and_the_plot_says_so(lab: Any, name: str, complaint: str) -> None:
    lab.nodes[0] = Spoiling("node01", 0, lab.fam.path)
    result = workloads.run(lab, **SMALL, workloads=name, nodes=[0])
    assert complaint in result.failed
    assert result.dataset["errors"].item() >= 1
    assert "FAILED" in result.plot().get_suptitle()


def test_updates_that_races_lose_are_counted_and_no_failure(lab: Any) -> None:
    lab.nodes[0] = Spoiling("node01", 0, lab.fam.path)
    result = workloads.run(lab, **SMALL, workloads="gups")
    assert result.dataset["errors"].item() >= 1
    assert result.dataset["checked"].item() == 8192
    assert not result.failed
    assert "of 8,192 words wrong" in result.plot().get_supxlabel()


class Scribbling(LocalNode):
    """A node whose FAM somebody else stores to, without a lock, while it reads."""

    def probe(self, *words: str, **options: Any) -> list[dict[str, Any]]:
        ended = threading.Event()

        def scribble() -> None:
            with self.fam.open("r+b") as file, mmap.mmap(file.fileno(), 1 << 16) as mapping:
                while not ended.wait(0.001):
                    for record in range(0, len(mapping), 64):
                        mapping[record + 32 : record + 40] = b"scribble"

        other = threading.Thread(target=scribble)
        other.start()
        try:
            return super().probe(*words, **options)
        finally:
            ended.set()
            other.join()


def test_a_value_that_nobody_wrote_is_seen_by_who_reads_it(lab: Any) -> None:
    lab.nodes[0] = Scribbling("node01", 0, lab.fam.path)
    failed = workloads.run(lab, **SMALL, workloads="kv", nodes=[0], reads=1.0).failed
    assert "reads gave a value that nobody wrote" in failed


@pytest.mark.parametrize("names", [list(workloads.WORKLOADS), ["gups"]])
def test_the_plot_says_what_it_shows_from_data_alone(lab: Any, tmp_path: Path, names: list[str]) -> None:
    workloads.run(lab, **SMALL, workloads=names, placement="remote").save(tmp_path / "kept")
    loaded = Result.load(tmp_path / "kept")
    figure = loaded.plot()
    matrix, rates = figure.axes
    which = "gups" if len(names) == 1 else "9 workloads"
    assert figure.get_suptitle() == f"{which} on 2 nodes, placement: remote"
    assert [label.get_text() for label in matrix.get_yticklabels()] == [
        label for name in names for label in (f"{name}   node01", "node02")
    ]
    assert [label.get_text() for label in matrix.get_xticklabels()] == ["node01", "node02"]
    assert (rates.get_xscale(), rates.get_xlabel()) == ("log", "rate [operations/s]")
    np.testing.assert_array_equal(
        rates.lines[0].get_xdata(), loaded.dataset["rate_summary"].sel(statistic="p50").values.ravel()
    )
    assert "emulated (TCG on this host): not a fabric's latency" in figure.get_supxlabel()
    assert "n = 30 batches" in figure.get_supxlabel()


def test_a_run_on_too_few_cores_is_flagged(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    result = workloads.run(lab, **SMALL, workloads="random")
    assert bool(result.dataset["oversubscribed"])
    assert "oversubscribed" in result.plot().get_supxlabel()
