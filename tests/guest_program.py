"""Programs that know nothing of the kit, compiled for the guest from ``guest_programs/``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from fame_lab.native import _cache, _environment


def compiled(name: str, directory: Path) -> Path:
    """Compile ``guest_programs/NAME.c`` into a static program in `directory`."""
    program = directory / name
    source = Path(__file__).parent / "guest_programs" / f"{name}.c"
    with _cache() as cache:
        subprocess.run(
            [
                *(sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-musl", "-mcpu=x86_64"),
                *("-static", "-O2", str(source), "-o", str(program)),
            ],
            check=True,
            env=_environment(cache),
        )
    return program
