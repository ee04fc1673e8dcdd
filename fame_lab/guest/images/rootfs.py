"""Choose the files of the guest's root file system, from unpacked packages and from our own."""

from __future__ import annotations

import gzip
import lzma
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import zstandard

from fame_lab.errors import ImageError
from fame_lab.guest.images import cpio
from fame_lab.guest.images.cpio import Entry

__all__ = ["entries", "kernel", "own_files"]

PROGRAMS = ("usr/bin/lspci", "usr/bin/setpci", "usr/sbin/dropbear")
MODULES = ("virtio_pci", "virtio_net", "qemu_fw_cfg")
PCI_NAMES = "usr/share/misc/pci.ids"

_FILES = Path(__file__).parent.parent / "files"
#: How distributions compress modules: Ubuntu by zstd, newer Debians by xz. busybox loads none of it.
_COMPRESSED: Mapping[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress,
    ".xz": lzma.decompress,
    ".zst": lambda content: zstandard.ZstdDecompressor().stream_reader(content).read(),
}
_LOADER = "ld-linux-x86-64.so.2"
_LIBRARY_DIRECTORIES = ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu")
_RESOLVED = re.compile(r"=> (\S+) \(0x")


def own_files() -> dict[str, Path]:
    """Return the files written for the guest, by their path in it."""
    files = (path for path in _FILES.rglob("*") if path.is_file())
    return {path.relative_to(_FILES).as_posix(): path for path in files}


def kernel(tree: Path) -> tuple[Path, str]:
    """Return the kernel image in the unpacked packages, and its release.

    Raises
    ------
    ImageError
        If there is not exactly one.
    """
    kernels = sorted(tree.glob("boot/vmlinuz-*"))
    if len(kernels) != 1:
        names = ", ".join(path.name for path in kernels) or "none"
        raise ImageError(
            f"the kernel package holds {len(kernels)} kernels ({names}) where one was expected",
            hint="remove appliance/packages from the cache and try again",
        )
    return kernels[0], kernels[0].name.removeprefix("vmlinuz-")


def entries(tree: Path, release: str, probe: Path) -> dict[str, Entry]:
    """Return the whole root file system, ready for an archive.

    Parameters
    ----------
    tree : Path
        The directory of the unpacked packages. None is installed there: symbolic links in it lead nowhere.
    release : str
        The kernel's.
    probe : Path
        The probe program.

    Raises
    ------
    ImageError
        If the packages lack something, or one of their own tools fails on them.
    """
    out = {path: cpio.directory() for path in ("dev", "etc/dropbear", "proc", "run", "sys")}
    out["root"] = out["root/.ssh"] = cpio.directory(0o700)
    out["tmp"] = cpio.directory(0o1777)
    out["dev/console"] = cpio.device(5, 1)  # the kernel opens it for /init, before devtmpfs is there
    for path, source in own_files().items():
        out[path] = _copy(source)
    out["usr/bin/fame-probe"] = cpio.file(probe.read_bytes(), 0o755)
    out[PCI_NAMES] = _copy(_in(tree, PCI_NAMES))
    out |= _busybox(tree)
    out |= _programs(tree)
    out |= _modules(tree, release)
    return out


def _copy(source: Path) -> Entry:
    data = source.read_bytes()
    executable = data.startswith((b"#!", b"\x7fELF"))
    return cpio.file(data, 0o755 if executable else 0o644)


def _in(tree: Path, path: str) -> Path:
    """Return the path of a file or directory of the packages, which may have it in /bin or in /usr/bin."""
    for candidate in (tree / path, tree / "usr" / path, tree / path.removeprefix("usr/")):
        if candidate.exists():
            return candidate
    raise ImageError(
        f"the packages hold no /{path}: this release of the distribution names or splits them in another way "
        f"than {__name__} and fame_lab.guest.images.apt_packages know; please report it with the release's "
        "name"
    )


def _busybox(tree: Path) -> dict[str, Entry]:
    """Return busybox and a link for each of its commands, except those that a program of ours replaces."""
    busybox = _in(tree, "bin/busybox")
    names = set(_tool("list busybox's commands", [str(busybox), "--list-full"]).split()) - set(PROGRAMS)
    # In the kernel's default place, modprobe would be run for every driver that Linux asks for while it
    # starts, and there is none: 0.13 s. /init tells the kernel the other place later.
    names = names - {"sbin/modprobe"} | {"usr/sbin/modprobe"}
    return {**{name: cpio.symlink("/bin/busybox") for name in names}, "bin/busybox": _copy(busybox)}


def _programs(tree: Path) -> dict[str, Entry]:
    """Return the dynamically linked programs with the libraries that the packages' own loader finds."""
    loader = _loader(tree)
    out = {f"lib64/{_LOADER}": _copy(loader)}
    for path in PROGRAMS:
        program = _in(tree, path)
        out[path] = _copy(program)
        command = [str(loader), "--library-path", _library_path(tree), "--list", str(program)]
        for resolved in _RESOLVED.findall(_tool(f"find the libraries of {program.name}", command)):
            library = Path(resolved)
            if not library.is_relative_to(tree):
                raise ImageError(
                    f"{program.name} needs {library.name}, which none of the packages holds: please report it"
                )
            out[f"lib/x86_64-linux-gnu/{library.name}"] = _copy(library)
    return out


def _modules(tree: Path, release: str) -> dict[str, Entry]:
    """Return the drivers that a node needs, with their dependencies, and depmod's indices for just these."""
    home = f"lib/modules/{release}"
    every = _module_base(tree / "every")
    _in(tree, home).rename(every / home)
    modules = every / home
    _depmod(tree, every, release)
    needs = _dependencies((modules / "modules.dep").read_text().splitlines())
    built_in = {Path(line).stem for line in (modules / "modules.builtin").read_text().splitlines()}
    chosen: set[str] = set()
    for name in MODULES:
        if name in needs:
            chosen |= needs[name]
        elif name not in built_in:
            raise ImageError(f"the kernel {release} has no driver {name}, which a node cannot do without")

    few = _module_base(tree / "few")
    for path in (*chosen, "modules.builtin", "modules.builtin.modinfo", "modules.order"):
        target = few / home / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if decompress := _COMPRESSED.get(target.suffix):
            target.with_suffix("").write_bytes(decompress((modules / path).read_bytes()))
        else:
            shutil.copyfile(modules / path, target)
    _depmod(tree, few, release)
    return {
        path.relative_to(few).as_posix(): cpio.file(path.read_bytes())
        for path in (few / home).rglob("*")
        if path.is_file()
    }


def _module_base(base: Path) -> Path:
    """Create a directory that depmod can index.

    The packages' depmod reads /lib/modules or /usr/lib/modules, by its release (Debian 13 has moved them).
    Here both names lead to one directory. busybox, in the guest, knows /lib/modules alone.
    """
    (base / "lib/modules").mkdir(parents=True)
    (base / "usr").mkdir()
    (base / "usr/lib").symlink_to("../lib")
    return base


def _dependencies(lines: Iterable[str]) -> dict[str, set[str]]:
    """Read modules.dep: by a module's name, its own file and those of all its dependencies."""
    needs = {}
    for line in lines:
        path, _, others = line.partition(":")
        needs[Path(path).name.partition(".")[0]] = {path, *others.split()}
    return needs


def _depmod(tree: Path, base: Path, release: str) -> None:
    command = [str(_loader(tree)), "--argv0", "depmod", "--library-path", _library_path(tree),
               str(_in(tree, "bin/kmod")), "--basedir", str(base), release]  # fmt: skip
    _tool("index the kernel's modules", command)


def _loader(tree: Path) -> Path:
    return next(_in(tree, f"{directory}/{_LOADER}") for directory in _LIBRARY_DIRECTORIES)


def _library_path(tree: Path) -> str:
    return ":".join(str(tree / directory) for directory in _LIBRARY_DIRECTORIES)


def _tool(step: str, command: list[str]) -> str:
    """Run a program of the packages on this host, with the packages' own loader and libraries."""
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ImageError(
            f"could not {step}: {error}. The image is built on x86-64 hosts only, in a cache directory that "
            f"is not mounted noexec; FAME_LAB_CACHE names another one"
        ) from error
    if answer.returncode:
        raise ImageError(f"could not {step}: {' '.join(command)} said: {answer.stderr.strip()[-800:]}")
    return answer.stdout
