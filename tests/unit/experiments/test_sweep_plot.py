import numpy as np
import pytest
import xarray as xr
from made_plan import a_plan
from stand_in_lab import measured

from fame_lab import Sweep
from fame_lab.errors import ProbeError
from fame_lab.experiments.sweep.combine import combined
from fame_lab.experiments.sweep.plot import main_quantity
from fame_lab.experiments.sweep.storage import Failure


def test_what_a_probe_sums_up_is_its_main_quantity() -> None:
    plan = a_plan()
    assert main_quantity(combined(plan, measured(plan), {})) == "latency"
    assert main_quantity(xr.Dataset({"n": 1, "cost": ((), 2.0, {"units": "ns"})})) == "cost"
    assert main_quantity(xr.Dataset({"count": 3, "share": 0.5})) == "share"
    with pytest.raises(ProbeError, match="a sweep with n has no quantity to draw"):
        main_quantity(xr.Dataset({"n": 1}))


def test_there_is_a_line_a_value_of_the_second_axis_and_a_panel_a_name() -> None:
    plan = a_plan()
    figure = Sweep(combined(plan, measured(plan), {})).plot()
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in panels] == ["dram", "fam"]
    assert [np.asarray(line.get_xdata()).tolist() for line in panels[0].lines[::3]] == [[1, 2]] * 3
    assert np.asarray(panels[0].lines[0].get_ydata()).tolist() == [64, 128]
    assert panels[0].get_xlabel() == "nodes (number)"


def test_missing_points_are_counted_on_it() -> None:
    plan = a_plan()
    results = measured(plan)
    del results[plan.points[0]]
    dataset = combined(plan, results, {plan.points[0]: Failure("ProbeError", "no", "here", "now")})
    assert "1 of 18 points missing" in Sweep(dataset).plot().get_supxlabel()


def test_what_a_figure_leaves_out_it_says() -> None:
    names = {"layout": ["contiguous", "interleaved"], "mapping": ["uc", "wb"]}
    plan = a_plan({"nodes": [4], "batches": [32, 33], "stride": [64, 128]} | names, repeats=1)
    foot = Sweep(combined(plan, measured(plan), {})).plot().get_supxlabel()
    assert "at stride 128 B" in foot and "6 of 8 panels" in foot
