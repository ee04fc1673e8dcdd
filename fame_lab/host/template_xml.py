"""What QEMU is told of a template: where its memory lies, what a node is given, whether it is restored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fame_lab.guest.personal import ITEM

__all__ = ["TemplateFiles"]

_MEMORY = "fame.ram"


@dataclass(frozen=True)
class TemplateFiles:
    """A template's files, which are there while nodes are restored from it.

    Parameters
    ----------
    memory : Path
        Its memory. It writes through to the file; restored nodes map it privately.
    size : int
        Bytes of it.
    state : Path
        The rest of it: CPUs and devices.
    nobody : Path
        The item that the template has in place of a node's own data.
    """

    memory: Path
    size: int
    state: Path
    nobody: Path

    def made(self) -> list[str]:
        """Give QEMU's arguments for the template itself."""
        return self._arguments("on", self.nobody)

    def restored(self, personal: Path) -> list[str]:
        """Give QEMU's arguments for a node that takes its state in, with the file of its own data."""
        # Not `fd:` at once: what memory is left out has to be said first.
        return [*self._arguments("off", personal), "-incoming", "defer"]

    def _arguments(self, share: str, personal: Path) -> list[str]:
        return [
            "-object",
            f"memory-backend-file,id={_MEMORY},mem-path={self.memory},size={self.size},share={share}",
            # It comes after libvirt's own word for the same, whose memory is then never touched.
            "-machine",
            f"memory-backend={_MEMORY}",
            "-fw_cfg",
            f"name={ITEM},file={personal}",
        ]
