"""The C engine of traffic/plugin, built as a library, with many nodes in one process."""

import ctypes
import functools
import hashlib
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from reference_caches import Access
from repository import ROOT

from fame_lab.core.native import zig
from fame_lab.traffic.transactions.cache import Cache
from fame_lab.traffic.transactions.directory import LineDirectory
from fame_lab.traffic.transactions.felt import FeltFabric
from fame_lab.traffic.transactions.layout import CAUSES, KINDS, DirectoryLayout

PLUGIN = ROOT / "fame_lab/traffic/plugin"
KIND_BITS = {"load": 1, "store": 2, "locked": 7}
STEP = np.dtype([("node", "<u4"), ("kind", "<u4"), ("offset", "<u8"), ("size", "<u8")])

#: What tests alone need: caches of all nodes in one process, and a loop over accesses.
_LOOP = """
#include "cache.h"
#include <stddef.h>
#include <stdlib.h>
#define AT(field) offsetof(struct directory_header, field)
__attribute__((visibility("default"))) const uint64_t engine_sizes[] = {
	sizeof(struct counts), sizeof(struct record), sizeof(struct loss), sizeof(struct node_totals),
	offsetof(struct fabric, inward),
	AT(magic), AT(version), AT(nodes), AT(user_size), AT(lines_at), AT(nodes_at), AT(stride), AT(books_at),
	AT(granules_at), AT(losses_at), AT(pasts_at), AT(ways_at), AT(book_shift), AT(interleaved), AT(sets),
	AT(ways), AT(granule_shift), AT(hardware), AT(memory_atomics), AT(alive), AT(fabric_at),
	AT(books), AT(waits),
};
struct step { uint32_t node, kind; uint64_t offset, size; };
__attribute__((visibility("default"))) struct cache *engine_open(const char *path, unsigned nodes)
{
	struct cache *caches = calloc(nodes, sizeof *caches);
	for (unsigned i = 0; i < nodes; i++)
		if (cache_open(&caches[i], path, i, 1) != 0)
			return 0;
	return caches;
}
__attribute__((visibility("default"))) void engine_run(
	struct cache *caches, const struct step *steps, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		cache_access(&caches[steps[i].node], steps[i].offset, steps[i].size, (int)steps[i].kind);
}
"""


@functools.cache
def library() -> ctypes.CDLL:
    sources = b"".join(each.read_bytes() for each in sorted(PLUGIN.glob("*.[ch]"))) + _LOOP.encode()
    place = Path(
        tempfile.gettempdir(), f"fame_lab-engine-{os.geteuid()}-{hashlib.sha256(sources).hexdigest()[:16]}"
    )
    place.mkdir(mode=0o700, exist_ok=True)
    product = place / "engine.so"
    if not product.exists():
        (place / "loop.c").write_text(_LOOP)
        words = [
            "-target",
            "x86_64-linux-gnu.2.17",
            "-mcpu=x86_64+cx16",
            "-shared",
            "-fPIC",
            "-O2",
            "-std=c17",
        ]
        words += ["-D_GNU_SOURCE", f"-I{PLUGIN}", "cache.c", "directory.c", "fabric.c", str(place / "loop.c")]
        part = place / f"{os.getpid()}.so"
        compiler = zig([*words, "-o", str(part)], cwd=PLUGIN)
        assert compiler.returncode == 0, compiler.stderr
        part.rename(product)
    loaded = ctypes.CDLL(str(product))
    loaded.engine_open.restype = ctypes.c_void_p
    loaded.engine_open.argtypes = [ctypes.c_char_p, ctypes.c_uint]
    loaded.engine_run.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64]
    return loaded


def c_sizes() -> list[int]:
    """Return sizes in C (counts, record, loss, totals, figures), and the offsets of the header's fields."""
    return [*(ctypes.c_uint64 * 28).in_dll(library(), "engine_sizes")]


def as_steps(accesses: Sequence[Access]) -> npt.NDArray[np.void]:
    return np.array([(node, KIND_BITS[kind], offset, size) for node, offset, size, kind in accesses], STEP)


class FabricEngine:
    """The engine's caches of all nodes of a lab, over a line directory in `path`."""

    def __init__(self, path: Path, layout: DirectoryLayout, cache: Cache, granule: int = 64) -> None:
        path.unlink(missing_ok=True)
        LineDirectory.create(path, layout)
        self.cache, self.granule = cache, granule
        self.directory = LineDirectory(path, layout)
        self.directory.begin(cache, granule)
        self._caches = library().engine_open(os.fsencode(path), layout.nodes)
        assert self._caches

    def begin(self, cache: Cache, felt: FeltFabric | None = None) -> None:
        """Set the cache of each node, empty."""
        self.cache = cache
        self.directory.begin(cache, self.granule, felt)

    def run(self, accesses: Sequence[Access] | npt.NDArray[np.void]) -> None:
        steps = accesses if isinstance(accesses, np.ndarray) else as_steps(accesses)
        library().engine_run(self._caches, steps.ctypes.data, len(steps))

    def counts(self) -> Counter[tuple[str, int, int]]:
        """Return all counts by (what, node, line), with granules of a line."""
        counts: Counter[tuple[str, int, int]] = Counter()
        for node in range(self.directory.layout.nodes):
            lines, values = self.directory.granules(node, 64)
            for name in (*KINDS, *CAUSES):
                for line, value in zip(lines.tolist(), values[name].tolist(), strict=True):
                    if value:
                        counts[name, node, line] = value
        return counts


def break_record(directory: LineDirectory) -> None:
    """Write a record that cannot be, as a QEMU that lies could: an owner without a holder."""
    with directory.path.open("r+b") as file:
        file.seek(directory.layout.lines_at)
        file.write((3 << 40).to_bytes(8, "little"))
    directory.close()
