import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr
from made_traffic import a_spec, a_trace, some_samples

from fame_lab.errors import TrafficError
from fame_lab.traffic.traffic import Traffic

MIB = 1 << 20
TRACE = a_trace({("load", 1, 0): 1, ("store", 2, 8192): 2}, looks=[(1.0, {("load", 1, 0): 1})])
SAMPLES = some_samples({0: 1, 8192: 2})


def placed(traffic: Traffic, offsets: list[int], dtype: str = "u8") -> xr.Dataset:
    return traffic.counts.assign_coords(granule=np.array(offsets, dtype))


WRONG: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "another source": (lambda: {"source": "guess"}, "source is 'guess'"),
    "no source": (lambda: {"source": []}, "source is"),
    "a spec of nothing": (lambda: {"spec": {}}, "needs a name"),
    "a spec that is none": (lambda: {"spec": 3}, "no lab's"),
    "a spec with a wrong field": (lambda: {"spec": TRACE.spec | {"nodes": 41}}, "nodes is 41"),
    "more nodes": (lambda: {"spec": TRACE.spec | {"nodes": 3}}, "node is not node01, node02, node03"),
    "a window outside FAM": (lambda: {"window": (0, 128 * MIB)}, "must lie inside"),
    "a window before FAM": (lambda: {"window": (-4096, 8192)}, "must lie inside"),
    "an empty window": (lambda: {"window": (0, 0)}, "must lie inside"),
    "a window of words": (lambda: {"window": ("0", 1)}, "an offset and a size"),
    "a manifest that is none": (lambda: {"manifest": None}, "manifest is None"),
    "an end without a node": (lambda: {"ended": {"node09": "died"}}, "ended is"),
    "an end without a reason": (lambda: {"ended": {"node01": 3}}, "ended is"),
    "counts that are none": (lambda: {"counts": None}, "xarray.Dataset"),
    "no bytes": (lambda: {"counts": TRACE.counts.drop_vars("bytes")}, "it must have accesses, bytes"),
    "something more": (lambda: {"counts": TRACE.counts.assign(more=1)}, "it must have accesses, bytes"),
    "signed counts": (lambda: {"counts": TRACE.counts.astype("i8")}, "accesses is int64|bytes is int64"),
    "other dimensions": (lambda: {"counts": TRACE.counts.transpose("node", "op", "granule")}, "unsigned"),
    "no granules' places": (lambda: {"counts": TRACE.counts.drop_vars("granule")}, "no coordinate 'granule'"),
    "other operations": (
        lambda: {"counts": TRACE.counts.assign_coords(op=["read", "write"])}, "op is not load, store",
    ),
    "other nodes": (
        lambda: {"counts": TRACE.counts.assign_coords(node=["a", "b"])}, "node is not node01, node02",
    ),
    "granules that descend": (lambda: {"counts": placed(TRACE, [8192, 0])}, "do not ascend"),
    "a granule twice": (lambda: {"counts": placed(TRACE, [0, 0])}, "do not ascend"),
    "half a granule": (lambda: {"counts": placed(TRACE, [0, 2048])}, "no multiple of 4096"),
    "a granule before FAM": (lambda: {"counts": placed(TRACE, [-4096, 0], "i8")}, "what was watched"),
    "a granule after FAM": (lambda: {"counts": placed(TRACE, [0, 64 * MIB])}, "what was watched"),
    "the control area": (lambda: {"counts": placed(TRACE, [0, 64 * MIB - 65536])}, "what was watched"),
    "granules before the window": (lambda: {"window": (4096, 4 * MIB)}, "0x0: what was watched"),
    "granules after the window": (lambda: {"window": (0, 8192)}, "0x2000: what was watched"),
    "places that are no numbers": (
        lambda: {"counts": TRACE.counts.assign_coords(granule=[0.0, 8192.0])}, "multiple|offsets",
    ),
    "no granule size": (lambda: {"counts": TRACE.counts.drop_attrs()}, "its granule is of None bytes"),
    "a granule of no power of two": (
        lambda: {"counts": TRACE.counts.assign_attrs(granule=4097)}, "its granule is of 4097 bytes",
    ),
    "a granule less than a line": (lambda: {"counts": TRACE.counts.assign_attrs(granule=32)}, "from 64"),
    "a granule of more than a book": (
        lambda: {"counts": placed(TRACE, [0, 16 * MIB]).assign_attrs(granule=16 * MIB)}, "a book's 8M",
    ),
    "no timeline": (lambda: {"timeline": xr.Dataset()}, "timeline has"),
    "time that goes back": (
        lambda: {"timeline": TRACE.timeline.assign_coords(time=[-1.0])}, "each later than the one before",
    ),
    "time that is no time": (lambda: {"timeline": TRACE.timeline.assign_coords(time=[np.nan])}, "time must"),
    "time in words": (lambda: {"timeline": TRACE.timeline.assign_coords(time=["noon"])}, "time must be"),
    "bins of more than a book": (
        lambda: {"timeline": TRACE.timeline.assign_attrs(bin=16 * MIB)}, "its bin is of",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_together_is_refused(name: str) -> None:
    changes, complaint = WRONG[name]
    with pytest.raises(TrafficError, match=complaint):
        dataclasses.replace(TRACE, **changes())


@pytest.mark.parametrize(
    "change", [{"source": "trace"}, {"timeline": TRACE.timeline}, {"counts": TRACE.counts}]
)
def test_samples_are_not_taken_for_a_trace(change: dict[str, Any]) -> None:
    with pytest.raises(TrafficError, match="it must have"):
        dataclasses.replace(SAMPLES, **change)


def test_a_granule_never_spans_two_books() -> None:
    spec = a_spec(fam="1M", nodes=40)
    assert spec.books.book == 16384
    a_trace({("load", 1, 0): 1}, fam="1M", nodes=40, granule=16384)
    with pytest.raises(TrafficError, match="16K"):
        a_trace({("load", 1, 0): 1}, fam="1M", nodes=40, granule=32768)


def test_the_last_granule_may_reach_into_the_control_area_but_not_begin_there() -> None:
    last = 56 * MIB
    assert int(a_trace({("load", 1, last): 3}, granule=8 * MIB).matrix().sum()) == 3


def test_a_window_in_the_middle_holds_what_lies_in_it() -> None:
    traffic = dataclasses.replace(a_trace({("load", 1, MIB): 1}), window=(MIB, 4096))
    assert traffic.window == (MIB, 4096)


def test_samples_may_have_bins_of_any_size() -> None:
    timeline = SAMPLES.timeline.assign_attrs(bin=48 * MIB)
    assert dataclasses.replace(SAMPLES, timeline=timeline).timeline.attrs["bin"] == 48 * MIB
    with pytest.raises(TrafficError, match="bin is"):
        dataclasses.replace(SAMPLES, timeline=SAMPLES.timeline.assign_attrs(bin=0))
