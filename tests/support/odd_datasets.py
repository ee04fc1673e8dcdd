"""Odd contents for the dataset of a saved result, for Hypothesis to choose from."""

import hashlib
import json
from pathlib import Path

from hypothesis import strategies as st

__all__ = ["ARRAYS", "ATTRIBUTES", "NAMES", "sign_again"]


def sign_again(place: Path) -> None:
    """Write into the manifest that the dataset is as it was saved."""
    manifest = json.loads((place / "manifest.json").read_text())
    manifest["sha256"] = hashlib.sha256((place / "dataset.nc").read_bytes()).hexdigest()
    (place / "manifest.json").write_text(json.dumps(manifest))


NAMES = st.sampled_from(["latency", "latency_summary", "memory", "batch", "statistic", "other", "node"])
ARRAYS = st.tuples(
    st.sampled_from(["u8", "i8", "f8", "u1", "S3", "?"]),
    st.lists(st.integers(0, 3), max_size=3),
    st.integers(0, 99),
)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(
        ["units", "long_name", "_FillValue", "scale_factor", "calendar", "coordinates", "failed"]
    ),
    st.integers(-9, 9) | st.sampled_from(["days since 1970-01-01", "<script>", "ns", "memory batch", ""]),
    max_size=3,
)
