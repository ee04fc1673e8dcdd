"""A recording as one long table in Parquet, for tools that know nothing of this one."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fame_lab.core.paths import given_path
from fame_lab.core.sanitize import quoted
from fame_lab.errors import HostError, SpecError
from fame_lab.traffic.transactions.aggregation import require_cache
from fame_lab.traffic.transactions.dataset import GROUPS
from fame_lab.traffic.validation import OPS

if TYPE_CHECKING:
    import pyarrow as pa

    from fame_lab.traffic.data import TrafficData

__all__ = ["table", "write"]

_UNITS = {
    "offset": "B", "accesses": "accesses", "bytes": "B", "changed": "looks",
    "transactions": "transactions", "misses": "misses",
}  # fmt: skip
_WHATS = ("accesses", *GROUPS)


def write(traffic: TrafficData, path: str | os.PathLike[str], what: str = "accesses") -> Path:
    """Write a recording: see :meth:`fame_lab.traffic.views.TrafficViews.to_parquet`."""
    import pyarrow.parquet  # a third of a second, for those alone who write a table

    place = given_path("path", path).absolute()
    rows = table(traffic, what)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{place.name}-") as temporary:
            pyarrow.parquet.write_table(rows, Path(temporary) / "new")
            (Path(temporary) / "new").rename(place)
    except OSError as error:
        raise HostError(f"cannot write {str(place)!r}: {error}") from error
    return place


def table(traffic: TrafficData, what: str = "accesses") -> pa.Table:
    """Return the long table: see :func:`write`."""
    if what not in _WHATS:
        raise SpecError(f"what is {quoted(what)}", hint=f"give {' or '.join(map(repr, _WHATS))}")
    import pyarrow as pa

    counts = traffic.counts
    columns: dict[str, Any]
    if what in GROUPS:
        require_cache(traffic)
        label, words = GROUPS[what]
        rows = np.nonzero(counts[what].values)
        columns = {"node": _words(rows[1], traffic.nodes), label: _words(rows[0], words)}
        values = {what: counts[what].values[rows]}
    elif traffic.source == "trace":
        accesses, bytes_ = counts["accesses"].values, counts["bytes"].values
        rows = np.nonzero((accesses > 0) | (bytes_ > 0))
        columns = {
            "node": _words(rows[1], traffic.nodes),
            "op": _words(rows[0], OPS),
        }
        values = {"accesses": accesses[rows], "bytes": bytes_[rows]}
    else:
        changed = counts["changed"].values
        rows = np.nonzero(changed)
        columns, values = {}, {"changed": changed[rows]}
    offsets = counts["granule"].values[rows[-1]]
    columns["offset"] = offsets.astype("u8")
    columns["home"] = _words(traffic.books.homes(offsets), traffic.nodes)
    columns |= values
    fields = [
        pa.field(name, pa.array(column).type, nullable=False, metadata={"units": _UNITS.get(name, "")})
        for name, column in columns.items()
    ]
    metadata = {
        "source": traffic.source,
        "granule": str(traffic.granule),
        "units": json.dumps({name: unit for name, unit in _UNITS.items() if name in columns}),
        "window": json.dumps(traffic.window),
        "spec": json.dumps(traffic.spec),
        "manifest": json.dumps(traffic.manifest),
        "ended": json.dumps(traffic.ended),
    }
    if traffic.cache is not None:
        metadata["cache"] = json.dumps(traffic.cache.to_dict())
    return pa.table(list(columns.values()), schema=pa.schema(fields, metadata=metadata))


def _words(numbers: npt.NDArray[np.intp], words: tuple[str, ...]) -> Any:
    """Return words as Arrow's dictionary: each word once, and its number in every row."""
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(pa.array(numbers.astype("i4")), list(words))
