import subprocess
import sys

import pytest

from fame_lab import plots


@pytest.mark.parametrize(
    ("manifest", "means"),
    [
        ({"accelerator": {"kind": "tcg"}}, "emulated (TCG on this host): not a fabric's latency"),
        ({"accelerator": {"kind": "kvm"}}, "emulated (KVM on this host): not a fabric's latency"),
        ({"accelerator": {"kind": "<b>"}}, "emulated (on this host): not a fabric's latency"),
        ({"accelerator": None}, "emulated (on this host): not a fabric's latency"),
        ({}, "emulated (on this host): not a fabric's latency"),
    ],
)
def test_every_figure_says_what_it_is_not(manifest: dict[str, object], means: str) -> None:
    drawn, _ = plots.figure("A title", manifest, "n = 3")
    assert drawn.get_supxlabel() == f"{means}\nn = 3"
    assert drawn.get_suptitle() == "A title"


def test_a_figure_is_a_picture_by_itself() -> None:
    drawn, panels = plots.figure("A title", {}, "n = 3", columns=3)
    assert len(panels) == 3
    assert drawn._repr_png_().startswith(b"\x89PNG")


def test_panels_come_row_by_row() -> None:
    made, panels = plots.figure("A title", {}, "n = 3", columns=2, rows=2)
    made.draw_without_rendering()
    corners = [(panel.get_position().y0, panel.get_position().x0) for panel in panels]
    assert len(corners) == 4
    assert corners[0][0] == corners[1][0] > corners[2][0]
    assert corners[0][1] < corners[1][1]


def test_no_figure_needs_pyplot() -> None:
    program = (
        "import sys; from fame_lab import plots, probes; plots.figure('t', {}, 'n')[0]._repr_png_();"
        "probes.names(); sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_colours_and_markers_are_distinct() -> None:
    styles = [plots.style(number) for number in range(7)]
    assert len({style["color"] for style in styles}) == len({style["marker"] for style in styles}) == 7
    assert plots.MEMORY["dram"] != plots.MEMORY["fam"]


def test_a_failed_result_says_so_above_its_figure() -> None:
    drawn, _ = plots.figure("A title", {}, "n = 3", failed="2 updates were lost")
    assert drawn.get_suptitle() == "A title\nFAILED: 2 updates were lost"


def test_a_size_axis_is_labelled_in_powers_of_two() -> None:
    drawn, [axes] = plots.figure("A title", {}, "n = 3")
    axes.plot([4096, 1 << 24], [1, 2])
    plots.size_axis(axes, "working set")
    drawn.draw_without_rendering()
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert {"4 KiB", "1 MiB", "16 MiB"} <= set(labels)


@pytest.mark.parametrize(("high", "most"), [(200, 9), (5e6, 9)])
def test_a_logarithmic_axis_has_few_plain_labels(high: float, most: int) -> None:
    drawn, [axes] = plots.figure("A title", {}, "n = 3")
    axes.plot([50, high], [1, 2])
    axes.set_xscale("log")
    plots.plain_log(axes.xaxis)
    drawn.draw_without_rendering()
    left, right = axes.get_xlim()
    shown = [
        label.get_text()
        for label, at in zip(axes.get_xticklabels(), axes.get_xticks(), strict=True)
        if left <= at <= right
    ]
    assert 2 <= len(shown) <= most
    assert all(set(text) <= set("0123456789.,") for text in shown)


def test_a_logarithmic_axis_within_a_decade_has_several_labels() -> None:
    made, (axes,) = plots.figure("x", {}, "")
    axes.plot([53, 99], [1, 2])
    axes.set_xscale("log")
    plots.plain_log(axes.xaxis)
    made.draw_without_rendering()
    low, high = axes.get_xlim()
    assert sum(low <= tick <= high for tick in axes.get_xticks()) >= 3
