import shutil
import subprocess
from pathlib import Path

import pytest

from fame_lab.errors import ApplianceError
from fame_lab.guest import build_probe


def test_binary_is_static_and_tells_what_it_was_made_of() -> None:
    program = build_probe.binary()
    told = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=True).stdout
    assert told == f"fame-probe-sources:{build_probe.digest()}\n"
    content = program.read_bytes()
    assert content[:4] == b"\x7fELF"
    assert b"/lib64/ld-linux" not in content


def test_binary_names_the_command_when_the_program_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_probe, "BINARY", tmp_path / "fame-probe")
    with pytest.raises(ApplianceError, match=r"is missing.*python -m fame_lab\.guest\.build_probe"):
        build_probe.binary()


def test_binary_refuses_a_program_older_than_its_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = shutil.copytree(build_probe.SOURCES, tmp_path / "probe")
    (changed / "add.c").write_text("/* another */\n")
    monkeypatch.setattr(build_probe, "SOURCES", changed)
    with pytest.raises(ApplianceError, match="is older than its sources"):
        build_probe.binary()


def test_build_leaves_a_current_program_alone() -> None:
    before = build_probe.binary().stat()
    assert build_probe.build().stat().st_mtime_ns == before.st_mtime_ns


def test_build_tells_what_the_compiler_says_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = tmp_path / "probe"
    sources.mkdir()
    (sources / "main.c").write_text("int main(void) { return nothing_here; }\n")
    monkeypatch.setattr(build_probe, "SOURCES", sources)
    monkeypatch.setattr(build_probe, "BINARY", tmp_path / "bin" / "fame-probe")
    with pytest.raises(RuntimeError, match="nothing_here"):
        build_probe.build(keep_cache=True)
    assert list((tmp_path / "bin").iterdir()) == []


def test_the_build_hook_is_one_that_hatchling_finds() -> None:
    interface = pytest.importorskip("hatchling.builders.hooks.plugin.interface")
    assert issubclass(build_probe.get_build_hook(), interface.BuildHookInterface)
