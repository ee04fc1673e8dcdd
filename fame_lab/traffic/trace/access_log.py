"""Accesses in their order: drained from every node while a recording runs, into a Parquet file."""

from __future__ import annotations

import json
import logging
import os
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fame_lab.errors import FameError, HostError
from fame_lab.traffic.trace.ring_buffer import CONTINUED, STORE, Accesses, AccessRing

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["AccessLog"]

log = logging.getLogger(__name__)

_INTERVAL = 0.02


class AccessLog:
    """A file of accesses in their order, while it is written.

    Its columns: ``time`` [ns, the host's CLOCK_MONOTONIC, the same for every node], ``node``, ``vcpu``,
    ``offset`` in FAM [B], ``size`` [B], ``op`` (load, store), and ``continued``: the rest, on the next page,
    of the access before. Each vCPU's rows are in its order; sort by time for all of them. Accesses that found
    their ring full are missing: ``lost``, in the file's metadata, has their number by node.

    Parameters
    ----------
    path : path
        A file that exists is replaced.
    rings : mapping of str to AccessRing
        By the node's name.
    manifest : dict
        It goes into the file's metadata.

    Raises
    ------
    HostError
        If the file cannot be written.
    """

    def __init__(
        self, path: str | os.PathLike[str], rings: Mapping[str, AccessRing], manifest: dict[str, Any]
    ) -> None:
        import pyarrow as pa
        import pyarrow.parquet

        self.path = Path(path).absolute()
        self.rows = 0
        self._rings = rings
        self._manifest = manifest
        self._ending = threading.Event()
        self._error: Exception | None = None
        self._schema = _schema(pa)
        try:
            self._directory = tempfile.TemporaryDirectory(dir=self.path.parent, prefix=f".{self.path.name}-")
            self._part = Path(self._directory.name) / "new"
            self._writer = pyarrow.parquet.ParquetWriter(self._part, self._schema)
        except OSError as error:
            raise HostError(f"cannot write {str(self.path)!r}: {error.strerror}") from error
        self._thread = threading.Thread(target=self._work, name="order", daemon=True)

    def start(self) -> None:
        """Start to drain. Older accesses in the rings are discarded."""
        for ring in self._rings.values():
            ring.discard()
        self._lost_before = {name: ring.lost() for name, ring in self._rings.items()}
        for ring in self._rings.values():
            ring.want(True)
        self._thread.start()

    def stop(self) -> dict[str, int]:
        """Drain the rest, and put the file in its place.

        Returns
        -------
        dict of str to int
            Accesses lost, by the node's name.

        Raises
        ------
        TrafficError, HostError
            If a ring cannot be read, or the file cannot be written. There is no file then.
        """
        for ring in self._rings.values():
            ring.want(False)
        self._ending.set()
        self._thread.join()
        lost: dict[str, int] = {}
        try:
            if self._error is None:
                lost = {name: ring.lost() - self._lost_before[name] for name, ring in self._rings.items()}
                fields = {"lost": json.dumps(lost), "manifest": json.dumps(self._manifest), "source": "trace"}
                self._writer.add_key_value_metadata(fields)
                self._writer.close()
                self._part.rename(self.path)
        except (FameError, OSError) as error:
            self._error = error
        finally:
            self._writer.close()
            self._directory.cleanup()
        if isinstance(self._error, OSError):
            why = self._error.strerror
            raise HostError(f"cannot write {str(self.path)!r}: {why}; the counts are whole") from self._error
        if self._error is not None:
            raise self._error
        if any(lost.values()):
            log.warning("the order lacks accesses that found their ring full: %s; the counts are whole", lost)
        return lost

    def cancel(self) -> None:
        """Stop without a file."""
        for ring in self._rings.values():
            ring.want(False)
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()
        self._writer.close()
        self._directory.cleanup()

    def _work(self) -> None:
        ended = False
        while not ended:
            ended = self._ending.wait(_INTERVAL)
            try:
                for name, ring in self._rings.items():
                    for vcpu, accesses in enumerate(ring.drain()):
                        if len(accesses):
                            self._writer.write_table(self._table(name, vcpu, accesses))
                            self.rows += len(accesses)
            except Exception as error:  # noqa: BLE001 - carried to whoever stops it
                self._error = error
                return

    def _table(self, node: str, vcpu: int, accesses: Accesses) -> pa.Table:
        import pyarrow as pa

        count = len(accesses)
        names = list(self._rings)
        ops = np.where(accesses["kind"] & STORE, 1, 0).astype("i1")
        columns = [
            pa.array(accesses["ns"]),
            pa.DictionaryArray.from_arrays(np.full(count, names.index(node), "i1"), names),
            pa.array(np.full(count, vcpu, "u1")),
            pa.array(accesses["offset"]),
            pa.array(accesses["size"]),
            pa.DictionaryArray.from_arrays(ops, ["load", "store"]),
            pa.array((accesses["kind"] & CONTINUED) != 0),
        ]
        return pa.table(columns, schema=self._schema)


def _schema(pa: Any) -> Any:
    words = pa.dictionary(pa.int8(), pa.string())
    kinds = {
        "time": (pa.uint64(), "ns"),
        "node": (words, ""),
        "vcpu": (pa.uint8(), ""),
        "offset": (pa.uint64(), "B"),
        "size": (pa.uint32(), "B"),
        "op": (words, ""),
        "continued": (pa.bool_(), ""),
    }
    return pa.schema(
        [
            pa.field(name, kind, nullable=False, metadata={"units": unit})
            for name, (kind, unit) in kinds.items()
        ]
    )
