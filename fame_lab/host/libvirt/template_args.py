"""QEMU's arguments of a template and of the nodes restored from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fame_lab.spec.qemu_options import escaped

__all__ = ["MAX_FAM", "TemplateFiles"]

_MEMORY = "fame.ram"
#: Bytes of 64-bit addresses that QEMU leaves to PCI devices by itself.
_LEAST_WINDOW = 32 << 30
#: Largest FAM that has room below the addresses at the top of 40 bits that QEMU reserves.
MAX_FAM = 256 << 30


@dataclass(frozen=True)
class TemplateFiles:
    """A template's files, which exist while nodes are restored from it.

    Parameters
    ----------
    memory : Path
        Its memory. It writes through to the file; restored nodes map it privately.
    size : int
        Bytes of its memory.
    state : Path
        The rest of its state: CPUs and devices.
    fam_size : int
        Bytes of FAM, which need room among its addresses.
    """

    memory: Path
    size: int
    state: Path
    fam_size: int

    def made(self) -> list[str]:
        """Return QEMU's arguments for the template itself."""
        return self._arguments("on")

    def restored(self) -> list[str]:
        """Return QEMU's arguments for a node that is restored from it."""
        # Not `fd:` at once: first QEMU has to be told which memory is left out.
        return [*self._arguments("off"), "-incoming", "defer"]

    def _arguments(self, share: str) -> list[str]:
        return [
            "-object",
            f"memory-backend-file,id={_MEMORY},mem-path={escaped(self.memory)},size={self.size},share={share}",
            # It overrides libvirt's own earlier argument, and the memory of that is then never touched.
            "-machine",
            f"memory-backend={_MEMORY}",
            # A firmware that finds FAM makes room for it, at a multiple of its size.
            "-global",
            f"q35-pcihost.pci-hole64-size={max(_LEAST_WINDOW, 2 * self.fam_size)}",
        ]
