import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest

from fame_lab.core import native
from fame_lab.errors import ImageError


def test_the_probe_is_static_and_tells_what_it_was_made_of() -> None:
    program = native.PROBE.binary()
    version = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=True).stdout
    assert version == f"fame-sources:{native.PROBE.digest}\n"
    content = program.read_bytes()
    assert content[:4] == b"\x7fELF"
    assert b"/lib64/ld-linux" not in content


@pytest.mark.parametrize("version", [1, 2, 6, 7])
def test_a_plugin_is_a_shared_object_for_each_version_of_the_interface(version: int) -> None:
    content = native.TRACE_PLUGINS[version].binary().read_bytes()
    assert content[:4] == b"\x7fELF"
    assert content[16] == 3  # ET_DYN
    assert b"qemu_plugin_install" in content


def test_what_is_missing_names_the_command(tmp_path: Path) -> None:
    missing = native.PROBE._replace(product=tmp_path / "fame-probe")
    with pytest.raises(ImageError, match=r"is missing.*python -m fame_lab\.core\.native"):
        missing.binary()


def test_what_is_older_than_its_sources_is_refused(tmp_path: Path) -> None:
    changed = shutil.copytree(native.PROBE.sources, tmp_path / "probe")
    (changed / "add.c").write_text("/* another */\n")
    with pytest.raises(ImageError, match="is older than its sources"):
        native.PROBE._replace(sources=changed).binary()


@pytest.mark.parametrize("each", native.ALL, ids=lambda each: each.product.name)
def test_build_leaves_what_is_current_alone(each: native.NativeTarget) -> None:
    before = each.binary().stat()
    assert each.build().stat().st_mtime_ns == before.st_mtime_ns


def test_build_tells_what_the_compiler_says_and_leaves_nothing(tmp_path: Path) -> None:
    sources = tmp_path / "plugin"
    sources.mkdir()
    (sources / "trace.c").write_text("int main(void) { return nothing_here; }\n")
    broken = native.TRACE_PLUGINS[1]._replace(sources=sources, product=tmp_path / "bin/fame-trace-1.so")
    with pytest.raises(RuntimeError, match="nothing_here"):
        broken.build()  # in the cache of set-up: an empty one takes seconds to fill
    assert list((tmp_path / "bin").iterdir()) == []


def test_the_build_hook_can_be_loaded_as_hatchling_does() -> None:
    spec = importlib.util.spec_from_file_location("hook", native.__file__)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)  # with no entry in sys.modules
    assert len(module.ALL) == len(native.ALL)


def test_the_build_hook_is_one_that_hatchling_finds() -> None:
    from hatchling.builders.hooks.plugin import interface

    assert issubclass(native.get_build_hook(), interface.BuildHookInterface)
