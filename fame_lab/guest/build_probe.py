"""Compile the guest's probe program: a static x86-64 binary, made by zig's C compiler.

As hatchling's build hook this runs where neither fame_lab nor its dependencies are installed, so at
the top it needs the standard library alone. By hand: ``python -m fame_lab.guest.build_probe``.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).parent / "probe"
BINARY = Path(__file__).parent / "bin" / "fame-probe"

# A guest has whatever CPU its host gives it, so nothing beyond the x86-64 baseline may be assumed.
FLAGS = (
    "-target", "x86_64-linux-musl", "-mcpu=x86_64",
    "-static", "-O2", "-s", "-std=c17", "-D_GNU_SOURCE",
    "-Wall", "-Wextra", "-Werror",
)  # fmt: skip


def digest() -> str:
    """Tell what the program is made of: a SHA-256 over the C sources and the compiler's flags."""
    told = hashlib.sha256(repr(FLAGS).encode())
    for source in sorted(SOURCES.glob("*.[ch]")):
        content = source.read_bytes()
        told.update(f"{source.name} {len(content)}\n".encode())
        told.update(content)
    return told.hexdigest()


def is_current() -> bool:
    """Say whether the compiled program is there and was made from the sources as they are now."""
    return BINARY.is_file() and f"fame-probe-sources:{digest()}".encode() in BINARY.read_bytes()


def binary() -> Path:
    """Find the compiled probe program.

    Returns
    -------
    Path
        The program, inside the installed package.

    Raises
    ------
    ApplianceError
        If it is missing, or older than its sources.
    """
    from fame_lab.errors import ApplianceError  # not there while hatchling builds

    if not is_current():
        what = "is older than its sources" if BINARY.is_file() else "is missing"
        raise ApplianceError(
            f"the guest's probe program {str(BINARY)!r} {what}: compile it with "
            "`python -m pip install ziglang && python -m fame_lab.guest.build_probe`, or reinstall fame_lab"
        )
    return BINARY


def build(*, keep_cache: bool = False) -> Path:
    """Compile the probe program, unless it is there and current.

    Parameters
    ----------
    keep_cache : bool
        Whether zig keeps its compiled musl (60 MB, half a minute's work) in the user's cache for the
        next time. It is of no use to a zig in a passing directory, as pip's isolated builds have.

    Returns
    -------
    Path
        The program.

    Raises
    ------
    RuntimeError
        If the compiler is not installed or refuses; it carries what the compiler said.
    """
    if is_current():
        return BINARY
    BINARY.parent.mkdir(exist_ok=True)
    names = sorted(source.name for source in SOURCES.glob("*.c"))
    # Compiled beside its place and moved there: nobody ever sees half a program.
    with _cache(keep_cache) as cache, tempfile.TemporaryDirectory(dir=BINARY.parent) as directory:
        made = Path(directory) / BINARY.name
        command = [sys.executable, "-m", "ziglang", "cc", *FLAGS, f'-DSOURCES="{digest()}"', *names]
        compiler = subprocess.run(
            [*command, "-o", str(made)], cwd=SOURCES, env=_environment(cache), capture_output=True, text=True
        )
        if compiler.returncode != 0:
            raise RuntimeError(f"zig could not compile the guest's probe program:\n{compiler.stderr.strip()}")
        made.chmod(0o755)
        made.replace(BINARY)
    return BINARY


@contextlib.contextmanager
def _cache(keep: bool = True) -> Iterator[Path]:
    """Make a place for zig's cache, never in the source tree."""
    with tempfile.TemporaryDirectory(prefix="fame-zig-") as passing:
        place = Path(passing)
        with contextlib.suppress(OSError, RuntimeError):  # no home, or one that cannot be written
            if keep:
                kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "fame_lab", "zig")
                kept.mkdir(parents=True, exist_ok=True)
                place = kept if os.access(kept, os.W_OK) else place
        yield place


def _environment(cache: Path) -> dict[str, str]:
    """Let nothing of the caller's (CPATH, CFLAGS, …) into the program."""
    kept = {name: os.environ[name] for name in ("HOME", "PATH", "PYTHONPATH", "TMPDIR") if name in os.environ}
    return kept | {"ZIG_GLOBAL_CACHE_DIR": str(cache), "ZIG_LOCAL_CACHE_DIR": str(cache / "local")}


def get_build_hook() -> type[Any]:
    """Give hatchling its hook; so named because hatchling looks for this name."""
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface

    class ProbeBuildHook(BuildHookInterface[Any]):
        """Compiles the probe program before a wheel or an editable install is put together."""

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
            build()

    return ProbeBuildHook


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{build(keep_cache=True)}\n")
    except RuntimeError as error:
        sys.exit(str(error))
