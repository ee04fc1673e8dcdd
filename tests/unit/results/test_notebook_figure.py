import sys

import comm
import pytest

from fame_lab.results import plots
from fame_lab.results.notebook_figure import NotebookFigure

WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def interactive(monkeypatch: pytest.MonkeyPatch) -> NotebookFigure:
    """A figure after ``%matplotlib widget``, and no pyplot to keep it."""
    import ipympl.backend_nbagg  # noqa: F401

    monkeypatch.setattr("matplotlib.get_backend", lambda: "widget")
    monkeypatch.delenv("FAME_LAB_RUN", raising=False)
    figure, _ = plots.figure("A title", {}, "n = 3")
    return figure


def test_a_figure_is_a_still_picture_unless_somebody_asked_for_more() -> None:
    figure, _ = plots.figure("A title", {}, "n = 3")
    assert figure._repr_mimebundle_() == {}
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_with_the_magic_it_is_a_widget_and_beside_it_a_picture(interactive: NotebookFigure) -> None:
    bundle = interactive._repr_mimebundle_(include=None, exclude=None)
    assert set(bundle) == {WIDGET, "image/png", "text/plain"}
    assert "pyplot" not in sys.modules


def test_shown_twice_it_is_one_widget(interactive: NotebookFigure) -> None:
    first, before = interactive._repr_mimebundle_(), len(comm.get_comm_manager().comms)
    assert interactive._repr_mimebundle_()[WIDGET] == first[WIDGET]
    assert len(comm.get_comm_manager().comms) == before > 0


def test_a_widget_that_was_closed_is_made_again(interactive: NotebookFigure) -> None:
    first = interactive._repr_mimebundle_()
    interactive.canvas.close()  # type: ignore[attr-defined]
    assert interactive._repr_mimebundle_()[WIDGET] != first[WIDGET]


def test_a_report_has_it_still(interactive: NotebookFigure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAME_LAB_RUN", "1")
    assert interactive._repr_mimebundle_() == {}
