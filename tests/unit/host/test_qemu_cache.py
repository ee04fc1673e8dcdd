import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fame_lab.cli import main
from fame_lab.errors import HostError, LabError, SpecError
from fame_lab.guest.images import apt_packages, backports
from fame_lab.host import qemu, qemu_cache

SUITE = "bookworm-backports"


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A cache of its own, and backports with a QEMU of a version that can be changed."""
    monkeypatch.setenv("FAME_LAB_CACHE", str(tmp_path / "cache"))
    version = ["10.0.2"]

    def fetch(names: tuple[str, ...], into: Path, _state: Path, _tell: object) -> list[apt_packages.Package]:
        into.mkdir(parents=True)
        packages = []
        for name in names:
            (into / f"{name}.deb").write_text(version[0])
            packages.append(
                apt_packages.Package(
                    name, version[0], apt_packages.sha256(into / f"{name}.deb"), f"{name}.deb"
                )
            )
        return packages

    def unpack(deb: Path, into: Path) -> None:
        program = into / "usr/bin/qemu-system-x86_64"
        program.parent.mkdir(parents=True, exist_ok=True)
        (into / "usr/share/doc/qemu").mkdir(parents=True, exist_ok=True)
        program.write_text(f"#!/bin/sh\necho 'QEMU emulator version {deb.read_text()} (Debian)'\n")
        program.chmod(0o700)

    monkeypatch.setattr(backports, "suite", lambda: SUITE)
    monkeypatch.setattr(backports, "fetch", fetch)
    monkeypatch.setattr(backports, "depends", lambda _deb: ["libc6", "seabios", "libfdt1"])
    monkeypatch.setattr(apt_packages, "unpack", unpack)
    return lambda newer: version.__setitem__(0, newer)


def test_it_is_fetched_once_and_named_by_a_spec(mirror: Callable[[str], None], tmp_path: Path) -> None:
    entry = qemu_cache.ensure(lambda _: None)
    assert entry.qemu.version == 10_000_002
    assert entry.depends == ("libc6", "libfdt1")
    mirror("11.1.3")
    assert qemu_cache.ensure(lambda _: None) == entry
    assert qemu_cache.find("backports") == entry.qemu.path
    assert qemu_cache.find("auto") is None
    assert qemu_cache.find("/q") == Path("/q")
    assert sorted(path.name for path in qemu_cache.root().iterdir()) == sorted(["lock", entry.digest])


def test_a_newer_one_is_fetched_where_it_is_asked_for(mirror: Callable[[str], None]) -> None:
    old = qemu_cache.ensure(lambda _: None)
    assert qemu_cache.update(lambda _: None).digest == old.digest
    mirror("10.0.13")
    new = qemu_cache.update(lambda _: None)
    assert (new.qemu.version, qemu_cache.current()) == (10_000_013, new)
    assert [each.digest for each in qemu_cache.cached()] == [old.digest, new.digest]


def test_everybody_may_run_it_and_it_finds_its_own_modules(mirror: Callable[[str], None]) -> None:
    entry = qemu_cache.ensure(lambda _: None)
    assert entry.qemu.path.stat().st_mode & 0o777 == 0o755
    assert entry.directory.stat().st_mode & 0o055 == 0o055
    bundle = entry.qemu.path.with_name("qemu-bundle")
    assert (bundle / "usr/bin").resolve() == entry.qemu.path.parent.resolve()
    assert not (entry.directory / "usr/share/doc").exists()


def test_one_of_another_release_is_no_current_one(
    mirror: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    qemu_cache.ensure(lambda _: None)
    monkeypatch.setattr(backports, "suite", lambda: "trixie-backports")
    assert qemu_cache.current() is None
    assert len(qemu_cache.cached()) == 1


def test_what_the_host_lacks_is_named_and_nothing_is_left(
    mirror: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qemu, "missing_libraries", lambda _path: ["libfdt.so.1", "libpmem.so.1"])
    monkeypatch.setattr(backports, "not_installed", lambda names: [n for n in names if n == "libfdt1"])
    with pytest.raises(HostError, match=r"lacks libfdt\.so\.1, libpmem\.so\.1; .*apt-get install libfdt1`"):
        qemu_cache.ensure(lambda _: None)
    assert [path.name for path in qemu_cache.root().iterdir()] == ["lock"]


@pytest.mark.parametrize("spoilt", ["", "[]", "{}", '{"version": "x"}'])
def test_a_spoilt_record_is_none(mirror: Callable[[str], None], spoilt: str) -> None:
    entry = qemu_cache.ensure(lambda _: None)
    (entry.directory / "qemu.json").write_text(spoilt)
    assert qemu_cache.cached() == []


def test_one_is_removed_by_name_or_digest_unless_a_lab_runs_in_it(mirror: Callable[[str], None]) -> None:
    entry = qemu_cache.ensure(lambda _: None)
    with pytest.raises(SpecError, match=r"no QEMU 'other'.*backports"):
        qemu_cache.remove("other", [])
    with pytest.raises(LabError, match="a lab runs in backports"):
        qemu_cache.remove("backports", [entry.qemu.path])
    assert qemu_cache.remove(None, []) == []
    assert qemu_cache.remove(entry.digest[:12], []) == [entry]
    assert qemu_cache.cached() == []


def test_the_command_line_fetches_lists_and_removes(
    mirror: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fame_lab.cli.qemu._in_use", set)
    assert main.main(["qemu", "get"]) == 0
    assert "backports: QEMU 10.0.2 (Debian), at /" in capsys.readouterr().out
    mirror("10.0.13")
    assert main.main(["qemu", "get", "--newer"]) == 0
    capsys.readouterr()
    assert main.main(["qemu", "ls", "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)
    assert [(each["version"], each["current"]) for each in entries] == [("10.0.2", False), ("10.0.13", True)]
    assert all(Path(each["path"]).is_file() for each in entries)
    assert main.main(["qemu", "ls"]) == 0
    assert [row.split()[5] for row in capsys.readouterr().out.splitlines()] == ["STATE", "old", "current"]
    assert main.main(["qemu", "rm", "--old"]) == 0
    assert "is gone" in capsys.readouterr().out
    assert main.main(["qemu", "rm", "backports"]) == 0
    assert qemu_cache.cached() == []


def test_the_hosts_backports_have_one_that_works(newer_qemu: Path) -> None:
    newer = qemu.read(newer_qemu)
    assert newer.version > qemu.read(qemu.of_host()).version
    assert qemu.abilities(newer) == qemu.Abilities("x86_64", plugins=True)
    assert not qemu.complaints(newer_qemu)


def test_modules_of_another_build_are_told_by_their_cause(newer_qemu: Path, tmp_path: Path) -> None:
    shutil.copytree(newer_qemu.parents[2], tmp_path / "q", symlinks=True)
    copied = tmp_path / "q/usr/bin" / newer_qemu.name
    copied.with_name("qemu-bundle").unlink()
    if not any(Path("/usr/lib/x86_64-linux-gnu/qemu").glob("*.so")):
        assert not qemu.complaints(copied)
    else:
        assert "same build" in qemu.complaints(copied)


def test_a_cache_that_cannot_be_written_is_named(mirror: Callable[[str], None], tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/qemu").write_text("")
    with pytest.raises(HostError, match=f"could not write a QEMU under {tmp_path}/cache/qemu: "):
        qemu_cache.ensure(lambda _: None)
    assert os.path.isfile(tmp_path / "cache/qemu")  # noqa: PTH113 - as it was
