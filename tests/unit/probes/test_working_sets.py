from pathlib import Path
from typing import Any

import pytest

from fame_lab.errors import ProbeError, SpecError
from fame_lab.host import cpu_caches
from fame_lab.probes.common import working_sets
from fame_lab.probes.common.working_sets import WorkingSets
from fame_lab.testing import LocalLab, LocalNode

KIB, MIB = 1 << 10, 1 << 20


class SmallNode(LocalNode):
    """A node with 40 MiB of memory to spare, one of them in doubt."""

    spare: Any = 40 * MIB

    def probe(self, *words: str, **options: Any) -> list[dict[str, Any]]:
        if words[0] == "memory":
            return [{"probe": "memory", "spare": self.spare}]
        return super().probe(*words, **options)


def lab_of(directory: Path, size: int) -> Any:
    lab: Any = LocalLab.make(directory, size=size)
    lab.nodes[0] = SmallNode("node01", 0, lab.fam.path)
    return lab


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(cpu_caches, "last_cache", lambda: 16 * MIB)
    return lab_of(tmp_path, 256 * MIB)


def choose(
    lab: Any, memories: tuple[str, ...] = ("dram", "fam"), sizes: Any = None, offset: int = 0, step: int = 16
) -> WorkingSets:
    return working_sets.plan_working_sets(lab, lab.nodes[0], memories, sizes, offset, multiple=64, step=step)


def test_the_default_goes_from_4_kib_to_4_times_the_last_cache(lab: Any) -> None:
    plan = choose(lab, ("fam",))
    assert plan.sizes == [4 * KIB, 64 * KIB, MIB, 16 * MIB, 64 * MIB]
    assert plan.cut_short == ""


def test_a_memory_with_less_room_ends_earlier_and_the_other_goes_on(lab: Any) -> None:
    plan = choose(lab, step=4)
    assert plan.sizes[-3:] == [16 * MIB, 32 * MIB, 64 * MIB]
    assert plan.room["dram"] == 39 * MIB
    assert plan.cut_short == "DRAM ends at 32 MiB: node01's memory has room for 39,936 KiB"


def test_the_control_area_is_not_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_caches, "last_cache", lambda: 16 * MIB)
    plan = choose(lab_of(tmp_path, MIB), ("fam",), offset=64 * KIB)
    assert plan.sizes == [4 * KIB, 64 * KIB, 512 * KIB]
    assert plan.cut_short == "FAM ends at 512 KiB: FAM's user part has room for 896 KiB"


def test_a_cache_of_hundreds_of_mebibytes_does_not_make_it_endless(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_caches, "last_cache", lambda: 480 * MIB)
    assert working_sets.default_limit()[0] == working_sets.LARGEST
    assert "which the host gives as 480 MiB" in choose(lab, ("fam",)).cut_short


def test_the_range_ends_at_a_power_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_caches, "last_cache", lambda: 36 * MIB)
    assert working_sets.default_limit() == (256 * MIB, "")


def test_a_host_that_does_not_tell_its_caches_is_said_to(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_caches, "last_cache", lambda: None)
    plan = choose(lab, ("fam",))
    assert plan.sizes[-1] == 64 * MIB
    assert "the host does not tell its caches" in plan.cut_short


def test_sizes_asked_for_stay_and_what_does_not_fit_in_dram_is_said(lab: Any) -> None:
    plan = choose(lab, sizes=["64M", 4096])
    assert plan.sizes == [64 * MIB, 4096]
    assert plan.cut_short == "DRAM ends at 4 KiB: node01's memory has room for 39,936 KiB"
    assert choose(lab, ("fam",), sizes=["64M"]).cut_short == ""


def test_a_memory_with_no_room_at_all_is_left_out_and_said_to_be(lab: Any) -> None:
    assert choose(lab, sizes=["64M"]).cut_short.startswith("DRAM is not measured: ")


def test_no_room_anywhere_is_an_error(lab: Any) -> None:
    with pytest.raises(ProbeError, match=r"no working set fits: DRAM is not measured.*node01's memory"):
        choose(lab, ("dram",), sizes=["64M"])


def test_what_does_not_fit_in_fam_is_refused_if_fam_is_measured(lab: Any) -> None:
    with pytest.raises(SpecError, match="do not fit in FAM"):
        choose(lab, sizes=["256M"])
    with pytest.raises(SpecError, match="do not fit in FAM"):
        choose(lab, offset=lab.fam.control.offset)


@pytest.mark.parametrize("spare", [-1, "all", None, 1 << 63])
def test_a_node_that_tells_nonsense_of_its_memory_is_not_believed(
    lab: Any, spare: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SmallNode, "spare", spare)
    with pytest.raises(ProbeError, match="node01: the probe gave 'spare'"):
        choose(lab)
