import resource
from pathlib import Path

import pytest

from fame_lab.core.sizes import MIB
from fame_lab.host.doctor import checks

GIB = 1 << 30


def test_a_host_without_kvm_is_told_that_nodes_are_emulated(tmp_path: Path) -> None:
    check = checks.kvm_device(tmp_path / "kvm")
    assert check.verdict == "ok"
    assert "emulated" in check.found


def test_a_kvm_that_root_alone_may_open_is_mended_by_its_ownership(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = tmp_path / "kvm"
    device.touch(mode=0o600)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    check = checks.kvm_device(device)
    if device.stat().st_gid == 0:
        assert check.verdict == "fail"
        assert "chown root:kvm" in check.mend


@pytest.mark.parametrize(("free", "verdict"), [(16 * MIB, "fail"), (64 * MIB, "warn"), (GIB, "ok")])
def test_room_for_fam_is_judged_by_what_is_free(free: int, verdict: str) -> None:
    assert checks.room_for_fam(free, 2 * GIB).verdict == verdict


def test_a_fam_that_will_lie_on_disk_is_foretold() -> None:
    check = checks.room_for_fam(60 * MIB, 64 * MIB, 5 * GIB)
    assert check.verdict == "warn"
    assert "a file on disk" in check.found and "5 GiB free" in check.found
    assert "on disk" not in checks.room_for_fam(60 * MIB, 64 * MIB, MIB).found


@pytest.mark.parametrize(
    ("available", "verdict"), [(0, "fail"), (checks.NODE_BYTES, "warn"), (8 * GIB, "ok")]
)
def test_room_for_nodes_is_judged_by_the_memory_available(available: int, verdict: str) -> None:
    assert checks.room_for_nodes(available).verdict == verdict


def test_the_tightest_control_group_above_us_counts(tmp_path: Path) -> None:
    group = tmp_path / "a" / "b"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("max\n")
    (group / "memory.current").write_text("7\n")
    (tmp_path / "a" / "memory.max").write_text("1000\n")
    (tmp_path / "a" / "memory.current").write_text("400\n")
    own = tmp_path / "cgroup"
    own.write_text("0::/a/b\n")
    assert checks._cgroup_left(tmp_path, own) == 600


def test_without_control_groups_nothing_limits(tmp_path: Path) -> None:
    assert checks._cgroup_left(tmp_path, tmp_path / "missing") is None


@pytest.mark.parametrize(
    ("limit", "verdict"), [(16, "fail"), (256, "warn"), (1024, "ok"), (resource.RLIM_INFINITY, "ok")]
)
def test_few_open_files_are_told(limit: int, verdict: str) -> None:
    assert checks.open_files(limit).verdict == verdict


def test_a_limited_address_space_is_told() -> None:
    assert checks.address_space(4 * GIB).verdict == "warn"
    assert checks.address_space(resource.RLIM_INFINITY).verdict == "ok"


def test_apparmor_is_off_where_the_kernel_has_none(tmp_path: Path) -> None:
    assert checks.apparmor(tmp_path / "enabled").found == "off"


def test_an_image_that_is_not_built_yet_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAME_LAB_CACHE", str(tmp_path))
    assert checks.guest_image().verdict == "warn"


def test_what_a_network_lacks_is_a_warning_that_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", str(tmp_path))
    check = checks.lab_network()
    assert check.verdict == "warn"
    assert "vde2" in check.mend
    (tmp_path / "vde_switch").touch(mode=0o755)
    assert checks.lab_network().verdict == "ok"
