"""Programs that know nothing of the kit, compiled for the guest from ``guest_programs/``."""

from __future__ import annotations

from pathlib import Path

from fame_lab.guest.c_program import compile_c


def compiled(name: str, directory: Path) -> Path:
    """Compile ``guest_programs/NAME.c`` into a static program in `directory`."""
    source = Path(__file__).parent / "guest_programs" / f"{name}.c"
    return compile_c(source.read_text(), directory / name)
