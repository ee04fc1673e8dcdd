import gzip
import lzma
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from fame_lab.errors import ImageError
from fame_lab.guest.images import rootfs


def test_own_files_are_what_the_guest_starts_with() -> None:
    assert {"init", "usr/sbin/fam-link", "etc/inittab", "etc/passwd"} <= rootfs.own_files().keys()


def test_a_script_is_executable_and_a_table_is_not() -> None:
    files = rootfs.own_files()
    assert stat.S_IMODE(rootfs._copy(files["init"]).mode) == 0o755
    assert stat.S_IMODE(rootfs._copy(files["etc/passwd"]).mode) == 0o644


def test_root_has_no_password() -> None:
    for line in rootfs.own_files()["etc/passwd"].read_text().splitlines():
        assert line.split(":")[1] == "*"


def test_a_module_comes_with_those_it_needs() -> None:
    needs = rootfs._dependencies(
        ["kernel/a/virtio_net.ko: kernel/b/failover.ko kernel/c/virtio.ko", "kernel/c/virtio.ko:"]
    )
    assert needs["virtio_net"] == {"kernel/a/virtio_net.ko", "kernel/b/failover.ko", "kernel/c/virtio.ko"}
    assert needs["virtio"] == {"kernel/c/virtio.ko"}


def test_a_module_goes_by_its_name_however_it_is_compressed() -> None:
    needs = rootfs._dependencies(["kernel/a/virtio_net.ko.zst: kernel/b/failover.ko.zst"])
    assert needs == {"virtio_net": {"kernel/a/virtio_net.ko.zst", "kernel/b/failover.ko.zst"}}


@pytest.mark.parametrize(
    ("suffix", "compress"), [(".gz", gzip.compress), (".xz", lzma.compress), (".zst", zstandard.compress)]
)
def test_a_compressed_module_is_what_it_was(suffix: str, compress: Callable[[bytes], bytes]) -> None:
    assert rootfs._COMPRESSED[suffix](compress(b"a module" * 999)) == b"a module" * 999


@pytest.mark.parametrize("names", [[], ["vmlinuz-1", "vmlinuz-2"]])
def test_one_kernel_is_expected(names: list[str], tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    for name in names:
        (tmp_path / "boot" / name).touch()
    with pytest.raises(ImageError, match=f"{len(names)} kernels"):
        rootfs.kernel(tmp_path)


def test_a_file_is_found_whether_or_not_bin_is_a_part_of_usr(tmp_path: Path) -> None:
    for directory in ("old/bin", "new/usr/bin"):
        (tmp_path / directory).mkdir(parents=True)
        (tmp_path / directory / "kmod").touch()
    assert rootfs._in(tmp_path / "old", "bin/kmod") == tmp_path / "old/bin/kmod"
    assert rootfs._in(tmp_path / "new", "bin/kmod") == tmp_path / "new/usr/bin/kmod"


def test_what_the_packages_lack_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no /usr/bin/lspci"):
        rootfs._in(tmp_path, "usr/bin/lspci")


def test_a_tool_that_fails_is_quoted() -> None:
    with pytest.raises(ImageError, match=r"could not index: sh -c .* said: oh no"):
        rootfs._tool("index", ["sh", "-c", "echo oh no >&2; exit 3"])


@pytest.mark.parametrize("where", ["lib/modules", "usr/lib/modules"])
@pytest.mark.parametrize("looks", ["lib/modules", "usr/lib/modules"])
def test_drivers_are_found_where_the_release_keeps_them_and_its_depmod_looks(
    where: str, looks: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = tmp_path / where / "6.12"
    modules.mkdir(parents=True)
    names = [f"{name}.ko" for name in rootfs.MODULES]
    for name in names:
        (modules / name).write_bytes(b"a module")
    for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
        (modules / name).touch()

    def depmod(tree: Path, base: Path, release: str) -> None:
        (base / looks / release / "modules.dep").write_text("".join(f"{name}:\n" for name in names))

    monkeypatch.setattr(rootfs, "_depmod", depmod)
    entries = rootfs._modules(tmp_path, "6.12")
    assert {f"lib/modules/6.12/{name}" for name in [*names, "modules.dep"]} <= entries.keys()
