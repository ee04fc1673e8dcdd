import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ipywidgets.widgets import widget as ipywidgets_widget
from waiting import wait_for

import fame_lab
from fame_lab import LabSpec
from fame_lab.core.kernel_env import RUN_VARIABLE
from fame_lab.errors import FameError, ProbeError
from fame_lab.host.doctor.diagnosis import Check, Diagnosis
from fame_lab.lab.node_stats import NodeStats
from fame_lab.notebook import doctor_tab
from fame_lab.notebook.background_task import Task
from fame_lab.notebook.html import error_html
from fame_lab.notebook.node_table import node_rows
from fame_lab.notebook.panel import Panel
from fame_lab.notebook.spec_form import SpecForm, problems
from fame_lab.notebook.switch_interval import short_switch_interval
from fame_lab.spec.lab_spec import CHOICES


@pytest.fixture
def panel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Panel]:
    """A panel whose doctor asks no other process: that of a panel without this fixture does."""
    monkeypatch.setattr(doctor_tab, "doctor", lambda: Diagnosis((Check("cores", "ok", "2"),)))
    panel = fame_lab.panel()
    yield panel
    panel.close()


def test_all_that_is_wrong_is_told_at_once_each_at_its_field() -> None:
    messages = problems({"name": "a b", "nodes": 0, "fam": "3M", "vcpus": "many", "memory": "1K"})
    assert list(messages) == ["name", "nodes", "vcpus", "fam", "memory"]
    assert all(why.startswith(f"{field} is ") for field, why in messages.items())


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "name": st.text(),
            "nodes": st.one_of(st.integers(), st.text()),
            "fam": st.one_of(st.text(), st.integers()),
            "book": st.text(),
            "vcpus": st.one_of(st.integers(), st.text()),
            "memory": st.text(),
            "fam_path": st.one_of(st.none(), st.text()),
        }
        | {field: st.sampled_from(choices) for field, choices in CHOICES.items()},
    )
)
def test_whatever_is_typed_it_is_right_or_every_field_that_is_not_is_named(values: dict[str, Any]) -> None:
    values = {"name": "demo"} | values
    messages = problems(values)
    assert set(messages) <= set(values) | {"book"}
    if not messages:
        LabSpec(**values)


def test_the_form_gives_the_spec_that_it_shows() -> None:
    form = SpecForm(lambda: None)
    spec = LabSpec("other", nodes=3, fam="1G", trace=True, accel="tcg", layout="interleaved", qemu="/q")
    form.show(spec)
    assert form.spec() == spec
    assert form.problems == {}


def test_a_name_that_a_lab_has_is_refused_as_it_is_typed() -> None:
    form = SpecForm(lambda: None)
    form.take_names(["demo"])
    assert "a lab of that name is there" in form.problems["name"]
    form.fields["name"].value = "other"
    assert form.problems == {}


def test_a_row_has_what_its_host_sees_escaped() -> None:
    vitals = NodeStats("node01", "running", 2222, "<script>alert(1)</script>", 0.5, 150 << 20, 3725.0)
    row = node_rows(["node01"], [vitals], {})
    assert "running" in row
    assert "127.0.0.1:2222" in row
    assert "50%" in row
    assert "150 MiB" in row
    assert "1:02:05" in row
    assert "<script>" not in row


@pytest.mark.parametrize(
    ("vitals", "stage", "state"),
    [
        (None, "waiting", "waiting"),
        (NodeStats("node01", "paused"), "creating", "creating"),
        (NodeStats("node01", "running"), "booting", "booting"),
        (NodeStats("node01", "running"), "ready", "ready"),
        (NodeStats("node01", "running"), None, "running"),
        (NodeStats("node01", "paused"), "ready", "paused"),
        (None, "ready", "gone"),
        (None, None, "gone"),
    ],
)
def test_a_rows_state_is_libvirts_and_of_a_node_that_runs_how_far_it_is(
    vitals: NodeStats | None, stage: str | None, state: str
) -> None:
    stages = {} if stage is None else {"node01": stage}
    row = node_rows(["node01"], [] if vitals is None else [vitals], stages)
    assert f'data-state="{state}"' in row


def test_the_kits_errors_are_shown_whole_and_others_with_where_they_came_from() -> None:
    assert "where it came from" not in error_html("chase", ProbeError("<b>too few</b>"))
    assert "&lt;b&gt;too few&lt;/b&gt;" in error_html("chase", ProbeError("<b>too few</b>"))
    text = error_html("chase", ZeroDivisionError("by nothing"))
    assert "ZeroDivisionError: by nothing" in text
    assert "where it came from" in text


def test_a_task_gives_its_result_or_its_error_and_can_be_called_off() -> None:
    done: list[Task] = []

    def fail(_task: Task) -> None:
        raise FameError("no")

    Task("panel-a", lambda _: 7, done.append).start()
    Task("panel-b", fail, done.append).start()
    waiting = Task("panel-c", lambda task: task.cancelled.wait(60), done.append).start()
    wait_for(lambda: len(done) == 2)
    waiting.cancel()
    assert waiting.join(10)
    assert sorted(str(task.error or task.result) for task in done) == ["7", "True", "no"]


def test_the_end_of_the_interpreter_calls_off_what_runs_and_waits_for_it() -> None:
    program = """
from fame_lab.notebook.background_task import Task
Task("panel-x", lambda task: task.cancelled.wait(60), lambda task: print("cleaned up", task.result)).start()
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ran.stdout == "cleaned up True\n"


def test_whoever_asks_for_the_panel_again_is_given_the_same(panel: Panel) -> None:
    assert fame_lab.panel() is panel


def test_a_closed_panel_leaves_no_widget_and_no_thread() -> None:
    before = set(ipywidgets_widget._instances)
    panel = fame_lab.panel()
    for probe in ("chase", "ring", "litmus"):
        panel.probes.probe.value = probe
    panel.close()
    assert set(ipywidgets_widget._instances) <= before
    names = ("panel-watch", "panel-doctor")
    wait_for(lambda: not [each for each in threading.enumerate() if each.name in names])
    assert fame_lab.panel() is not panel
    fame_lab.panel().close()


def test_a_parameter_s_range_is_shown_and_kept_to_as_it_is_typed(panel: Panel) -> None:
    panel.probes.probe.value = "litmus"
    _, iterations, why = panel.probes._fields["iterations"]
    assert "a whole number from 1000 to 1000000000" in why.value
    iterations.value = "999"
    assert "iterations is 999: give a whole number from 1000 to 1000000000" in why.value
    iterations.value = "1e6"
    assert "iterations is" not in why.value
    assert panel.probes._fields["mapping"][1].options == ("uc", "wb")


def test_a_button_that_fails_says_so(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down() -> LabSpec:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(panel.form, "spec", break_down)
    panel.start.click()
    assert "ZeroDivisionError: by nothing" in panel.alert.value


def test_a_boxs_button_that_fails_says_so(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down() -> None:
        raise ZeroDivisionError("by nothing")

    for box, button in ((panel.commands, panel.commands.run), (panel.probes, panel.probes.run)):
        monkeypatch.setattr(box, "_lab", break_down)
        button.click()
        assert "ZeroDivisionError: by nothing" in box.alert.value
        monkeypatch.undo()


def test_without_a_front_end_there_is_a_still(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUN_VARIABLE, "x")
    bundle = panel._repr_mimebundle_()
    assert sorted(bundle) == ["text/html", "text/plain"]
    assert "no lab yet" in bundle["text/html"]


def test_turns_are_short_while_anything_works_and_as_before_afterwards() -> None:
    # The doctor of a panel before may still look.
    wait_for(lambda: not [each for each in threading.enumerate() if each.name == "panel-doctor"])
    before = sys.getswitchinterval()
    with short_switch_interval():
        with short_switch_interval():
            assert sys.getswitchinterval() < before
        assert sys.getswitchinterval() < before
    assert sys.getswitchinterval() == before
