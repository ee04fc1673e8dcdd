"""Compile what is written in C, by zig's compiler: the guest's probe program, and QEMU's trace plugin.

As hatchling's build hook this runs where neither fame_lab nor its dependencies are installed, so at the
top it needs the standard library alone. By hand: ``python -m fame_lab.core.native``.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

_PACKAGE = Path(__file__).parent.parent
#: A guest may have any CPU, so nothing beyond the x86-64 baseline may be assumed.
FOR_GUESTS = ("-target", "x86_64-linux-musl", "-mcpu=x86_64")
_ALWAYS = ("-O2", "-s", "-std=c17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror")


# Not a dataclass: those look their module up by name, and hatchling loads this file without one.
class NativeTarget(NamedTuple):
    """A product of the C compiler, with the digest of its sources written in it.

    Parameters
    ----------
    what : str
        Its name in messages.
    sources : Path
        Directory of its C sources.
    product : Path
        Its place in the installed package.
    flags : tuple of str
        The compiler's.
    """

    what: str
    sources: Path
    product: Path
    flags: tuple[str, ...]

    @property
    def digest(self) -> str:
        """SHA-256 over the C sources and the compiler's flags."""
        digest = hashlib.sha256(repr(self.flags).encode())
        for source in sorted(self.sources.glob("*.[ch]")):
            content = source.read_bytes()
            digest.update(f"{source.name} {len(content)}\n".encode())
            digest.update(content)
        return digest.hexdigest()

    def is_current(self) -> bool:
        """Return whether the product exists and was made from the present sources."""
        return self.product.is_file() and f"fame-sources:{self.digest}".encode() in self.product.read_bytes()

    def binary(self) -> Path:
        """Return the product, checked.

        Returns
        -------
        Path
            Inside the installed package.

        Raises
        ------
        ImageError
            If it is missing, or older than its sources.
        """
        from fame_lab.errors import ImageError  # not there while hatchling builds

        if not self.is_current():
            fault = "is older than its sources" if self.product.is_file() else "is missing"
            raise ImageError(
                f"{self.what} {str(self.product)!r} {fault}: compile it with "
                "`python -m pip install ziglang && python -m fame_lab.core.native`, or reinstall fame_lab"
            )
        return self.product

    def build(self, cache: Path | None = None) -> Path:
        """Compile it, unless it is there and current.

        Parameters
        ----------
        cache : Path, optional
            Directory for zig's compiled C library (60 MB, a minute's work); by default in the user's cache,
            for the next time. That is of no use to a zig in a temporary directory, as in pip's isolated
            builds.

        Returns
        -------
        Path
            The product.

        Raises
        ------
        RuntimeError
            If the compiler is not installed or refuses, with its messages.
        """
        if self.is_current():
            return self.product
        self.product.parent.mkdir(exist_ok=True)
        names = sorted(source.name for source in self.sources.glob("*.c"))
        # It is compiled beside its place and moved there: nobody ever sees half a program.
        with tempfile.TemporaryDirectory(dir=self.product.parent) as directory:
            output = Path(directory) / self.product.name
            words = [*self.flags, f'-DSOURCES="{self.digest}"', *names, "-o", str(output)]
            compiler = zig(words, cache=cache, cwd=self.sources)
            if compiler.returncode != 0:
                raise RuntimeError(f"zig could not compile {self.what}:\n{compiler.stderr.strip()}")
            output.chmod(0o755)
            output.replace(self.product)
        return self.product


def zig(
    words: Sequence[str], *, cache: Path | None = None, cwd: Path | None = None, source: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run zig's C compiler.

    Parameters
    ----------
    words : list of str
        For the compiler.
    cache : Path, optional
        See :meth:`NativeTarget.build`.
    cwd : Path, optional
        Its working directory.
    source : str
        Its standard input.

    Returns
    -------
    CompletedProcess
        With its output.
    """
    with _users_cache() if cache is None else contextlib.nullcontext(cache) as directory:
        return subprocess.run(
            [sys.executable, "-m", "ziglang", "cc", *words],
            cwd=cwd,
            env=_environment(directory),
            input=source,
            capture_output=True,
            text=True,
            check=False,
        )


def _plugin(version: int) -> NativeTarget:
    return NativeTarget(
        f"QEMU's trace plugin of version {version}",
        _PACKAGE / "traffic/plugin",
        _PACKAGE / f"traffic/bin/fame-trace-{version}.so",
        # The oldest glibc that zig has for it: QEMU loads one that is no older.
        (
            "-target", "x86_64-linux-gnu.2.17", "-mcpu=x86_64+cx16", "-shared", "-fPIC",
            "-fvisibility=hidden",
            # A compare-and-swap of 16 bytes (cx16) is in every x86-64 processor since 2006.
            # A callback does not use all its arguments.
            f"-DAPI_VERSION={version}", *_ALWAYS, "-Wno-unused-parameter",
        ),
    )  # fmt: skip


PROBE = NativeTarget(
    "the guest's probe program",
    _PACKAGE / "guest/probe",
    _PACKAGE / "guest/bin/fame-probe",
    (*FOR_GUESTS, "-static", *_ALWAYS),
)
#: By the version of QEMU's plugin interface: 1 for QEMU 7.2 to 8.2, 2 for 9.0 to 10.2, 6 for 11.0, 7 for 11.1
TRACE_PLUGINS = {version: _plugin(version) for version in (1, 2, 6, 7)}
ALL = (PROBE, *TRACE_PLUGINS.values())


@contextlib.contextmanager
def _users_cache() -> Iterator[Path]:
    """Yield the user's cache, or a temporary one where there is no home that can be written to."""
    with tempfile.TemporaryDirectory(prefix="fame-zig-") as temporary:
        cache = Path(temporary)
        with contextlib.suppress(OSError, RuntimeError):
            permanent = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "fame_lab", "zig")
            permanent.mkdir(parents=True, exist_ok=True)
            cache = permanent if os.access(permanent, os.W_OK) else cache
        yield cache


def _environment(cache: Path) -> dict[str, str]:
    """Return an environment without variables that would change the program (CPATH, CFLAGS, …)."""
    own = {name: os.environ[name] for name in ("HOME", "PATH", "PYTHONPATH", "TMPDIR") if name in os.environ}
    return own | {"ZIG_GLOBAL_CACHE_DIR": str(cache), "ZIG_LOCAL_CACHE_DIR": str(cache / "local")}


def get_build_hook() -> type[Any]:
    """Return the hook of hatchling, which looks for a function of this name."""
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface

    class NativeBuildHook(BuildHookInterface[Any]):
        """Compiles the C sources before a wheel or an editable install is put together."""

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
            with tempfile.TemporaryDirectory(prefix="fame-zig-") as cache:
                for native in ALL:
                    native.build(Path(cache))

    return NativeBuildHook


if __name__ == "__main__":
    try:
        for each in ALL:
            sys.stdout.write(f"{each.build()}\n")
    except RuntimeError as error:
        sys.exit(str(error))
