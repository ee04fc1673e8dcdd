import concurrent.futures
import contextvars
import io
import sys
import time
from collections.abc import Callable

import pytest

from fame_lab.core.jobs import progress_bar
from fame_lab.core.jobs.progress import State, current, job, listen
from fame_lab.lab.launch_progress import LaunchProgress
from fame_lab.spec.lab_spec import LabSpec

Steps = list[tuple[int, int | None, str]]


def hearing() -> tuple[Steps, Callable[[int, int | None, str], None]]:
    steps: Steps = []
    return steps, lambda *step: steps.append(step)


def test_a_listener_hears_each_step_of_a_job() -> None:
    steps, listener = hearing()
    with listen(listener), job("count", total=3) as counting:
        counting.describe("first")
        counting.step()
        counting.step("second", count=2)
    assert steps == [(0, 3, "count"), (0, 3, "first"), (1, 3, "first"), (3, 3, "second")]


def test_a_total_may_be_known_later() -> None:
    steps, listener = hearing()
    with listen(listener), job("count") as counting:
        counting.set_total(2)
    assert steps == [(0, None, "count"), (0, 2, "count")]


def test_a_job_within_another_tells_it_and_takes_none_of_its_steps() -> None:
    steps, listener = hearing()
    with listen(listener), job("outer", total=5):
        with job("inner", total=2) as inner:
            inner.step("half")
        current().step("on")
    assert steps == [
        (0, 5, "outer"), (0, 5, "inner 0/2"), (0, 5, "inner 1/2: half"), (1, 5, "on"),
    ]  # fmt: skip


def test_without_a_job_whoever_tells_tells_nobody() -> None:
    current().set_total(3)
    current().step("nothing")
    current().describe("nothing")


def test_what_a_job_is_part_of_ends_where_a_listener_begins() -> None:
    steps, listener = hearing()
    others, another = hearing()
    with listen(listener), job("outer"):
        with listen(another), job("inner", total=1):
            current().step()
        current().step("mine")
    assert steps == [(0, None, "outer"), (1, None, "mine")]
    assert others == [(0, 1, "inner"), (1, 1, "inner")]


def test_threads_in_a_copy_of_the_context_tell_its_job() -> None:
    steps, listener = hearing()

    def work() -> None:
        for _ in range(50):
            current().step()

    with (
        listen(listener),
        job("many", total=400),
        concurrent.futures.ThreadPoolExecutor(8) as pool,
    ):
        for _ in range(8):
            pool.submit(contextvars.copy_context().run, work)
    assert [done for done, _, _ in steps] == list(range(401))


def test_a_job_that_failed_is_no_longer_the_current_one() -> None:
    before = current()
    with pytest.raises(ZeroDivisionError), job("broken"):
        raise ZeroDivisionError
    assert current() is before


def test_what_a_listener_raises_ends_the_job() -> None:
    def refuse(done: int, _total: int | None, _words: str) -> None:
        if done:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), listen(refuse), job("broken") as broken:
        broken.step()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal_of(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Make standard error a terminal, in which jobs are shown at once."""
    # Not by a fixture: pytest puts its own standard error in place after those.
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress_bar, "DELAY", 0.0)
    monkeypatch.setattr(progress_bar.Bar, "interval", 0.01)
    return terminal


def log_of(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Make standard error a file, in which jobs are shown at once."""
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    monkeypatch.setattr(progress_bar, "DELAY", 0.0)
    return log


def wait_for(text: str, file: io.StringIO) -> None:
    end = time.monotonic() + 20
    while text not in file.getvalue():
        assert time.monotonic() < end, file.getvalue()
        time.sleep(0.005)


def last_on(terminal: Terminal) -> str:
    """Return the text on the last line that is not empty."""
    lines = [line.rsplit("\r", 1)[-1] for line in terminal.getvalue().split("\n")]
    return next((line for line in reversed(lines) if line.strip()), "")


def test_a_terminal_sees_a_bar_with_steps_and_words(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    with job("chase", total=4, unit="run") as chase:
        chase.step("node01 chase fam")
        wait_for("1/4", terminal)
        wait_for("node01 chase fam", terminal)
        chase.step("", 3)
    assert "4/4" in last_on(terminal) and "100%" in last_on(terminal)
    assert terminal.getvalue().endswith("\n")


def test_a_bar_learns_its_total(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    with job("chase") as chase:
        wait_for("0it", terminal)
        chase.step()
        chase.set_total(4)
        wait_for("1/4", terminal)


def test_a_job_that_fails_leaves_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    with pytest.raises(KeyboardInterrupt), job("chase", total=4) as chase:
        chase.step()
        wait_for("1/4", terminal)
        raise KeyboardInterrupt
    assert last_on(terminal) == ""


def test_a_short_job_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    monkeypatch.setattr(progress_bar, "DELAY", 60.0)
    with job("chase", total=1) as chase:
        chase.step()
    assert terminal.getvalue() == ""


def test_a_job_that_is_not_to_be_shown_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    with job("chase", total=1, shown=False) as chase, job("within", shown=False):
        chase.step()
        time.sleep(0.05)
    assert terminal.getvalue() == ""


def test_a_job_that_is_heard_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    with listen(lambda *_: None), job("chase", total=1):
        time.sleep(0.05)
    assert terminal.getvalue() == ""


def test_a_job_within_another_has_no_bar_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    with job("outer", total=3), job("inner", total=2):
        wait_for("inner 0/2", terminal)
    assert "inner: " not in terminal.getvalue()


def test_a_log_has_few_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_of(monkeypatch)
    with job("chase", total=400, unit="run") as chase:
        wait_for("chase", log)
        for _ in range(400):
            chase.step("node01 chase fam")
    first, last = log.getvalue().splitlines()
    assert first == "chase: 0/400 run"
    assert last.startswith("chase: 400/400 run, ")
    assert "\r" not in log.getvalue()


def test_a_log_tells_how_long_a_job_takes_yet() -> None:
    log = io.StringIO()
    lines = progress_bar.LogProgress("sweep", "point", time.time() - 600, log)
    for done in (0, 1, 4):
        lines.show(State(done, 4, "booting"))
    assert log.getvalue().splitlines() == [
        "sweep: 0/4 point, booting",
        "sweep: 1/4 point, about 30 min left, booting",
        "sweep: 4/4 point, booting",
    ]


def test_a_log_tells_where_a_job_was_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_of(monkeypatch)
    with pytest.raises(ZeroDivisionError), job("chase", total=4, unit="run") as chase:
        wait_for("chase", log)
        chase.step()
        raise ZeroDivisionError
    assert log.getvalue().splitlines()[-1].startswith("chase: stopped at 1/4 run, ")


def test_a_log_that_is_closed_does_not_end_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_of(monkeypatch)
    with job("chase") as chase:
        wait_for("chase", log)
        log.close()
        chase.step()


def in_kernel(monkeypatch: pytest.MonkeyPatch, *, asks: bool) -> Terminal:
    """Put a notebook's kernel in place, whose front end can be asked or not."""

    class Kernel:
        _allow_stdin = asks

    class Shell:
        kernel = Kernel()

    class IPython:
        get_ipython = Shell

    output = Terminal()
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setattr(progress_bar, "DELAY", 0.0)
    monkeypatch.setitem(sys.modules, "IPython", IPython)
    return output


@pytest.mark.parametrize("how", ["report", "nbclient"])
def test_a_notebook_that_nobody_sees_has_plain_lines(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    output = in_kernel(monkeypatch, asks=how == "report")
    if how == "report":
        monkeypatch.setenv("FAME_LAB_RUN", "token")
    with job("chase", total=2, unit="run") as chase:
        wait_for("chase", output)
        chase.step(count=2)
    assert [line.split(",")[0] for line in output.getvalue().splitlines()] == [
        "chase: 0/2 run", "chase: 2/2 run",
    ]  # fmt: skip


def test_a_launch_is_a_step_a_node_with_the_stages_of_those_that_come() -> None:
    steps, listener = hearing()
    with listen(listener), LaunchProgress(LabSpec("demo", nodes=2), shown=True) as launch:
        launch.show("demo", "making keys and FAM")
        launch.show("node01", "booting")
        launch.show("node02", "booting")
        launch.show("node01", "ready")
        launch.show("node02", "ready")
    assert steps == [
        (0, 2, "demo"),
        (0, 2, "making keys and FAM"),
        (0, 2, "node01 booting"),
        (0, 2, "node01 booting, node02 booting"),
        (1, 2, "node02 booting"),
        (2, 2, "ready"),
    ]


def test_a_launch_that_is_not_shown_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    with LaunchProgress(LabSpec("demo", nodes=2), shown=False) as launch:
        launch.show("node01", "booting")
        time.sleep(0.05)
    assert terminal.getvalue() == ""
