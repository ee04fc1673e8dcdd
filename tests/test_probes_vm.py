"""The probes on real nodes: that they measure, and say how FAM was mapped. Times prove nothing here."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fame_lab import Lab, LabSpec
from fame_lab.errors import CommandError
from fame_lab.host import domain_xml
from fame_lab.results import Result

pytestmark = pytest.mark.vm


@pytest.mark.parametrize("probe", ["chase", "bandwidth"])
def test_a_sweep_measures_both_memories_of_a_guest(lab: Lab, probe: str, tmp_path: Path) -> None:
    result = lab.probe(probe, working_sets=["4K", "256K"], batches=30, node="node02")
    kept = Result.load(result.save(tmp_path / "kept"))
    assert dict(kept.dataset.sizes)["working_set"] == 2
    assert kept.dataset["memory"].values.tolist() == ["dram", "fam"]
    # /dev/fam leads to resource2, which the kernel maps uncached unless the device asks for more.
    assert kept.manifest["mapping"] == "uncached-minus"
    assert kept.manifest["accelerator"]["kind"] in ("tcg", "kvm")
    assert "emulated" in kept.plot().get_supxlabel()


def test_two_guests_answer_each_other(lab: Lab) -> None:
    result = lab.probe("pingpong", batches=30, nodes=("node02", "node01"))
    assert dict(result.dataset["latency"].sizes) == {"variant": 2, "batch": 30}
    assert result.dataset["initiator"].item() == "node02"


def test_memory_that_a_guest_has_not_is_an_error(lab: Lab) -> None:
    with pytest.raises(CommandError, match="are not to be had"):
        lab.nodes[0].probe("chase", "--fam", "/dev/fam", "--memory", "dram", "--sizes", str(1 << 30))


@pytest.fixture(scope="module")
def unsound() -> Iterator[Lab]:
    """Two emulated nodes with room for one CPU each: their locked instructions are not atomic."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(domain_xml, "LEAST_CPUS", 1)
        spec = LabSpec(f"unsound-{os.getpid()}", nodes=2, fam="64M", accel="tcg")
        with Lab(spec, progress=False) as lab:
            yield lab


def test_two_guests_that_increment_one_word_lose_nothing(lab: Lab) -> None:
    result = lab.probe("atomics", batches=30)
    assert result.failed == ""
    assert result.dataset["lost"].values.tolist() == [[0, 0], [0, 0]]
    assert (result.dataset["expected"] > 0).all()


def test_two_guests_see_no_outcome_that_x86_forbids(lab: Lab) -> None:
    result = lab.probe("litmus", iterations=100_000)
    assert result.failed == ""
    assert result.dataset["count"].groupby("of").sum().values.tolist() == [100_000] * 7
    assert result.dataset.attrs["left_out"] == "IRIW takes 4 nodes, and there are 2"


def test_two_guests_keep_their_counters_apart(lab: Lab) -> None:
    result = lab.probe("false_sharing", batches=30)
    assert result.failed == ""
    assert (result.dataset["held"] == result.dataset["expected"]).all()


def test_two_guests_take_turns_under_each_lock(lab: Lab) -> None:
    result = lab.probe("locks", batches=30)
    assert result.failed == ""
    assert (result.dataset["held"] == result.dataset["expected"]).all()


def test_updates_that_an_emulator_for_one_cpu_loses_are_reported(unsound: Lab) -> None:
    result = unsound.probe("atomics", contenders=[2], batches=100)
    assert (result.dataset["lost"] > 0).all()
    assert "fetch-add by 2 nodes" in result.failed
    assert "updates were lost" in result.plot().get_suptitle()


def test_a_fence_that_an_emulator_for_one_cpu_drops_is_reported(unsound: Lab) -> None:
    result = unsound.probe("litmus", tests=["SB+mfences"], iterations=200_000)
    assert int(result.dataset["count"].sel(outcome="SB+mfences: r1=0 r2=0")) > 0
    assert "SB+mfences: r1=0 r2=0 observed" in result.failed
