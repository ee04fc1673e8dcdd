import subprocess
import sys

import pytest

from fame_lab.results import plots


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
    figure, _ = plots.figure("A title", manifest, "n = 3")
    assert figure.get_supxlabel() == f"{means}\nn = 3"
    assert figure.get_suptitle() == "A title"


def a_manifest(name: str, time: str) -> dict[str, object]:
    return {"spec": {"name": name, "nodes": 2}, "accelerator": {"kind": "kvm"}, "time": time}


def test_the_last_line_says_whose_numbers_they_are_and_of_when() -> None:
    figure, _ = plots.figure("A title", a_manifest("demo", "2025-03-04T23:30:00-02:00"), "n = 3")
    assert figure.get_supxlabel().endswith("\nn = 3\ndemo: 2 nodes, KVM; 2025-03-05 01:30 UTC")


def test_several_recordings_have_one_line() -> None:
    times = ["2025-03-04T05:06:07+00:00", "2025-03-04T05:01:00+00:00"]
    same = plots.provenance(*(a_manifest("demo", time) for time in times))
    assert same == "demo: 2 nodes, KVM; 2025-03-04 05:01 to 2025-03-04 05:06 UTC"
    assert plots.provenance(*(a_manifest(name, times[0]) for name in "abc")).startswith("3 labs; ")


@pytest.mark.parametrize(
    "junk",
    [{}, {"spec": 3, "time": 5}, {"spec": {"nodes": "<b>"}, "accelerator": [], "time": "9999-99"}],
)
def test_a_manifest_from_anywhere_cannot_spoil_a_figure(junk: dict[str, object]) -> None:
    assert plots.provenance(junk) == ""
    figure, _ = plots.figure("$ title", a_manifest("$x_$" * 50, "now"), "n = $3")
    figure.draw_without_rendering()  # dollars are no mathematics


@pytest.mark.parametrize(
    ("ground", "ink"), [("white", "black"), ("#fde725", "black"), ("#440154", "white"), ("#000000", "white")]
)
def test_what_is_written_on_a_colour_stands_out(ground: str, ink: str) -> None:
    assert plots.text_colour(ground) == ink


def test_a_figure_is_a_picture_by_itself() -> None:
    figure, panels = plots.figure("A title", {}, "n = 3", columns=3)
    assert len(panels) == 3
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_panels_come_row_by_row() -> None:
    figure, panels = plots.figure("A title", {}, "n = 3", columns=2, rows=2)
    figure.draw_without_rendering()
    corners = [(panel.get_position().y0, panel.get_position().x0) for panel in panels]
    assert len(corners) == 4
    assert corners[0][0] == corners[1][0] > corners[2][0]
    assert corners[0][1] < corners[1][1]


def test_no_figure_needs_pyplot() -> None:
    program = (
        "import sys; from fame_lab import probes; from fame_lab.results import plots;"
        "plots.figure('t', {}, 'n')[0]._repr_png_();"
        "probes.names(); sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_colours_and_markers_are_distinct() -> None:
    styles = [plots.style(number) for number in range(7)]
    assert len({style["color"] for style in styles}) == len({style["marker"] for style in styles}) == 7
    assert plots.MEMORY["dram"] != plots.MEMORY["fam"]


def test_a_failed_result_says_so_above_its_figure() -> None:
    figure, _ = plots.figure("A title", {}, "n = 3", failed="2 updates were lost")
    assert figure.get_suptitle() == "A title\nFAILED: 2 updates were lost"
