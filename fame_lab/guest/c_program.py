"""A C program of the user's own, compiled on the host for the guests, whatever these have installed."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

from fame_lab.core import native
from fame_lab.errors import HostError, SpecError

__all__ = ["compile_c"]

#: Static, since a guest need not have any C library; and for the x86-64 baseline, as its CPU may be any.
_FLAGS = ("-O2", "-static", "-pthread", "-x", "c")
_COMPILERS = ("gcc", "cc", "clang")


def compile_c(source: str, program: Path) -> Path:
    """Compile a C program.

    Parameters
    ----------
    source : str
        The program's text.
    program : Path
        The output file.

    Returns
    -------
    Path
        `program`, static, for x86-64 Linux.

    Raises
    ------
    SpecError
        If it does not compile, with all messages of the compiler.
    HostError
        If the host has no compiler.
    """
    arguments = [*_FLAGS, "-", "-o", str(program)]
    if compiler := next(filter(None, map(shutil.which, _COMPILERS)), None):
        completed = subprocess.run(
            [compiler, *arguments], input=source, capture_output=True, text=True, check=False
        )
    elif importlib.util.find_spec("ziglang") is not None:
        completed = native.zig([*native.FOR_GUESTS, *arguments], source=source)
    else:
        raise HostError("this host has no C compiler: apt-get install gcc libc6-dev, or pip install ziglang")
    if completed.returncode != 0:
        raise SpecError(f"the program does not compile:\n{completed.stderr.strip()}")
    return program
