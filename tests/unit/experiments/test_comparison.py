import dataclasses
import json
import math
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_results import MANIFEST, a_chase, a_report
from made_traffic import a_spec, a_trace
from odd_datasets import ARRAYS, ATTRIBUTES, sign_again
from stand_in_lab import measured

import fame_lab
from fame_lab import Comparison, Sweep, compare
from fame_lab.errors import FameError, SpecError
from fame_lab.experiments.sweep.plan import Plan
from fame_lab.experiments.sweep.storage import SweepStore
from fame_lab.results.result import Result

EVIL = "<script>alert(1)</script>$x_$\x1b[2J"


def elsewhere(result: Result) -> Result:
    host = {"host": {"cpu": "Another", "cores": 64}, "accelerator": {"kind": "kvm"}, "mapping": "write-back"}
    return dataclasses.replace(result, manifest=result.manifest | host)


def test_a_result_agrees_with_itself_in_all_there_is() -> None:
    comparison = compare(a_chase(), a_chase())
    assert comparison.agrees
    assert comparison.differs == ()
    assert comparison.verdicts == {"agrees": 5, "differs": 0, "too few": 0}
    assert "made alike" in repr(comparison)


def test_two_runs_of_the_same_agree_and_a_slower_memory_does_not() -> None:
    assert compare(a_chase(0), a_chase(1)).agrees
    comparison = compare(a_chase(0), a_chase(1, times=1.5))
    assert not comparison.agrees
    differing = [row for row in comparison.rows if row.verdict == "differs"]
    assert {(row.at["memory"], row.quantity) for row in differing} == {("fam", "latency")}
    assert all(row.low < 1.5 < row.high for row in differing)


def test_hosts_accelerators_and_mappings_that_differ_are_named_before_any_number() -> None:
    comparison = compare(a_chase(), elsewhere(a_chase(1, times=2)))
    assert [each.what for each in comparison.differs] == [
        "host.cpu", "host.cores", "accelerator.kind", "accelerator.reason", "mapping", "seed",
    ]  # fmt: skip
    for text in (repr(comparison), comparison._repr_html_(), json.dumps(comparison.to_dict())):
        named = [text.index(word) for word in ("Another", "kvm", "write-back")]
        assert max(named) < min(
            text.index(word) for word in ("agree, ", "verdicts", "latency [ns]") if word in text
        )
    title = comparison.plot().get_suptitle()
    assert "host.cpu: not told | Another" in title and "mapping: uncached-minus | write-back" in title


def test_what_failed_in_one_differs() -> None:
    comparison = compare(a_chase(), a_chase(failed="an update was lost"))
    assert [row.quantity for row in comparison.rows if row.verdict == "differs"] == ["failed"]


def test_the_table_has_a_row_for_each_quantity_at_each_place() -> None:
    comparison = compare(a_chase(0), elsewhere(a_chase(1)))
    table = comparison.table
    row = table[(table["quantity"] == "latency") & (table["at"] == "memory=fam, working_set=4096")].iloc[0]
    assert (row["units"], row["n_a"], row["n_b"], row["verdict"]) == ("ns", 50, 50, "agrees")
    assert row["low"] < row["ratio"] < row["high"]
    assert {"what": "host.cores", "a": "not told", "b": 64, "where": []} in table.attrs["differs"]


def test_different_probes_are_refused() -> None:
    with pytest.raises(SpecError, match="a is of chase and b of ring: they measure different things"):
        compare(a_chase(), Result("ring", a_chase().dataset, MANIFEST))


def test_labels_that_only_one_has_are_named_and_keep_it_from_agreeing() -> None:
    comparison = compare(a_chase(sets=(4096,)), a_chase(sets=(4096, 65536)))
    assert comparison.only == {"a": (), "b": ("chase: working_set 65536",)}
    assert not comparison.agrees
    assert "only in b:\n  chase: working_set 65536" in repr(comparison)


def test_recordings_are_compared_exactly() -> None:
    cells = {("load", 1, 0): 3, ("store", 2, 32 << 20): 5}
    assert compare(a_trace(cells), a_trace(cells)).agrees
    comparison = compare(a_trace(cells), a_trace(cells | {("load", 1, 0): 4}))
    assert not comparison.agrees
    assert "traced: exact counts" in comparison.plot().get_supxlabel()
    assert "op=load, initiator=node01, home=node01: 3 | 4 accesses (exact)" in repr(comparison)


def test_a_trace_of_another_granule_or_lab_says_so() -> None:
    comparison = compare(a_trace({("load", 1, 0): 3}), a_trace({("load", 1, 0): 3}, granule=64, nodes=4))
    assert {"granule", "spec.nodes"} <= {each.what for each in comparison.differs}
    assert "traffic by trace: initiator 'node03'" in comparison.only["b"]


def test_two_reports_are_compared_result_by_result(tmp_path: Path) -> None:
    trace = a_trace({("load", 1, 0): 3})
    a = a_report(tmp_path / "a", {"001-chase": a_chase(0), "002-traffic": trace}, parameters={"nodes": 2})
    b = a_report(
        tmp_path / "b",
        {"001-chase": elsewhere(a_chase(1)), "002-traffic": trace, "003-chase": a_chase(2)},
        parameters={"nodes": 4}, stopped="cell 3 of 4 failed", packages={"numpy": "2"},
    )  # fmt: skip
    comparison = compare(a, str(b))
    assert comparison.only == {"a": (), "b": ("003-chase",)}
    whats = [each.what for each in comparison.differs]
    assert whats[0] == "stopped" and whats[-1] == "packages.numpy"
    assert next(each.where for each in comparison.differs if each.what == "mapping") == ("001-chase",)
    assert comparison.verdicts["differs"] == 0 and not comparison.agrees
    comparison.plot().draw_without_rendering()


def test_what_differs_in_the_reports_and_in_all_their_results_is_told_once(tmp_path: Path) -> None:
    reports = []
    for cpu in ("A", "B"):
        host = {"cpu": cpu}
        results = {"001-chase": a_chase(host=host), "002-chase": a_chase(host=host)}
        reports.append(a_report(tmp_path / cpu, results, host=host))
    assert [str(each) for each in compare(*reports).differs] == ["host.cpu: A | B"]


def test_sweeps_are_compared_point_by_point_in_memory_on_disk_and_in_a_report(tmp_path: Path) -> None:
    plan = Plan.make(
        "chase", {"stride": [64, 512]}, repeats=3, seed=0, spec=a_spec(), parameters={"batches": 30}
    )
    folder = SweepStore(tmp_path / "report" / "data" / "001-sweep_of_chase")
    folder.path.parent.mkdir(parents=True)
    with folder.taken_up(plan):
        for point, result in measured(plan).items():
            folder.keep(point, result)
    place = a_report(tmp_path / "report", {})
    swept = Sweep.load(folder.path)
    for one, other in ((swept, swept.dataset), (folder.path, swept), (place, place)):
        comparison = compare(one, other)
        assert comparison.agrees and comparison.differs == ()
        rows = [row for row in comparison.rows if row.quantity == "latency"]
        # Two strides, memories and nodes; of three repeats all batches are one sample.
        assert len(rows) == 8
        assert {row.n_a for row in rows} == {3 * swept.dataset.sizes["batch"]}


def test_an_empty_report_neither_agrees_nor_fails(tmp_path: Path) -> None:
    place = a_report(tmp_path / "report", {})
    comparison = compare(place, place)
    assert not comparison.agrees and comparison.table.empty
    comparison.plot().draw_without_rendering()
    assert "nothing is compared" in repr(comparison) + comparison._repr_html_()


def test_what_came_from_elsewhere_is_escaped_and_steers_nothing(tmp_path: Path) -> None:
    dataset = a_chase().dataset
    evil = dataset.rename(latency=EVIL, memory=f"m{EVIL}").assign_coords({f"m{EVIL}": [EVIL, "fam"]})
    evil[EVIL].attrs["units"] = EVIL
    slow = evil.assign({EVIL: (2 * evil[EVIL]).assign_attrs(units=EVIL)})
    comparison = compare(Result(EVIL, evil, {EVIL: EVIL}), Result(EVIL, slow, {EVIL: 1}))
    assert comparison.verdicts["differs"] == 4
    assert "<script" not in comparison._repr_html_()
    assert "&lt;script" in comparison._repr_html_()
    assert "\x1b" not in repr(comparison)
    comparison.plot().draw_without_rendering()


def test_a_thousand_points_stay_a_figure_of_bounded_size(tmp_path: Path) -> None:
    sets = tuple(64 * each for each in range(1, 60))
    results = {f"{number:03}-chase": a_chase(number, sets=sets, batches=30) for number in range(1, 60, 6)}
    place = a_report(tmp_path / "report", results)
    figure = compare(place, place).plot()
    assert figure.get_size_inches()[1] < 16
    assert len(figure.axes[0].get_yticks()) <= 40


def test_what_is_no_number_is_none_in_json() -> None:
    a, b = a_chase(batches=5), a_chase(1, batches=5)
    for each in (a, b):
        each.dataset["working_set"] = [1.0, math.inf]
    comparison = compare(a, b)
    assert comparison.verdicts["too few"] == 4
    json.dumps(comparison.to_dict(), allow_nan=False)


def test_results_that_share_no_label_have_nothing_to_compare() -> None:
    comparison = compare(a_chase(sets=(4096,)), a_chase(sets=(8192,)))
    assert [row.quantity for row in comparison.rows] == ["failed"]
    assert not comparison.agrees


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_chase().save(tmp_path_factory.mktemp("saved") / "kept")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    variables=st.dictionaries(
        st.sampled_from(
            ["latency", "memory", "batch", "expected", "held", "retries", "count", "verdict", "lost"]
        ),
        st.tuples(ARRAYS, ATTRIBUTES),
        max_size=4,
    ),
    attrs=ATTRIBUTES,
)
def test_whatever_a_dataset_holds_there_is_a_comparison_or_an_error(
    tmp_path_factory: pytest.TempPathFactory,
    saved: Path,
    variables: dict[str, tuple[tuple[str, list[int], int], dict[str, int | str]]],
    attrs: dict[str, int | str],
) -> None:
    place = shutil.copytree(saved, tmp_path_factory.mktemp("fuzz") / "kept")
    with h5py.File(place / "dataset.nc", "a") as file:
        for name, ((kind, shape, value), own) in variables.items():
            if name in file:
                del file[name]
            file[name] = np.full(shape, value).astype(kind)
            file[name].attrs.update(own)
        file.attrs.update(attrs)
    sign_again(place)
    try:
        comparisons = [compare(a_chase(), place), compare(place, a_chase()), compare(place, place)]
    except FameError:
        return
    for comparison in comparisons:
        assert "<script" not in comparison._repr_html_()
        json.dumps(comparison.to_dict(), allow_nan=False)


SHAPES = st.sampled_from(
    [(), ("batch",), ("outcome",), ("workload", "node"), ("node", "batch"), ("workload",)]
)


@settings(max_examples=60)
@given(
    st.dictionaries(
        st.sampled_from(["rate", "count", "expected", "held", "retries", "loads", "rate_low", "rate_high"]),
        st.tuples(SHAPES, st.sampled_from(["u8", "i8", "f8", "?", "U3"]), st.integers(0, 5)),
        min_size=1,
    ),
    st.booleans(),
)
def test_whatever_shape_data_have_they_are_compared(
    variables: dict[str, tuple[tuple[str, ...], str, int]], labelled: bool
) -> None:
    sizes = {"batch": 9, "outcome": 2, "workload": 2, "node": 2}
    dataset = xr.Dataset(
        {
            name: (dims, np.full([sizes[dim] for dim in dims], value).astype(kind), {"units": "1/s"})
            for name, (dims, kind, value) in variables.items()
        }
    )
    if labelled:
        labels = {"outcome": ["x", "y"], "workload": ["kv", "gups"], "node": ["node01", "node02"]}
        dataset = dataset.assign_coords(labels | {"verdict": ("outcome", ["forbidden", "relaxed"])})
    result = Result("made", dataset, {})
    comparison = compare(result, result)
    assert comparison.verdicts["differs"] == comparison.verdicts["too few"] == 0


def test_the_function_is_no_module() -> None:
    assert callable(fame_lab.compare) and fame_lab.Comparison is Comparison
