"""A start that is cancelled or interrupted, at any moment: it cleans up, whole, and then says so."""

import signal
import threading
import time
from functools import partial
from types import FrameType

import pytest
from memory_lab import AT, KINDS, at, interrupt, leftovers, memory_lab
from waiting import wait_for

from fame_lab.core.jobs.cancellation import is_cancelled
from fame_lab.errors import LabError
from fame_lab.lab.launch_progress import LaunchProgress
from fame_lab.testing import InMemoryHost, NodeLife


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("kind", "what"), AT)
def test_a_start_that_is_cancelled_at_any_call_says_so_and_leaves_nothing(
    machine: InMemoryHost, kind: str, what: str, when: str
) -> None:
    cancelled = threading.Event()
    at(machine, what, cancelled.set, when=when)
    with pytest.raises(LabError, match=r"^the start was cancelled$"):
        memory_lab(machine, **KINDS[kind]).start(cancelled=cancelled)
    assert leftovers(machine) == []


@pytest.mark.parametrize(("kind", "what"), AT)
def test_a_start_that_is_interrupted_at_any_call_leaves_nothing(
    machine: InMemoryHost, kind: str, what: str
) -> None:
    at(machine, what, interrupt)
    with pytest.raises(KeyboardInterrupt):
        memory_lab(machine, **KINDS[kind]).start()
    assert leftovers(machine) == []


def test_a_ctrl_c_that_interrupts_no_wait_is_heard_all_the_same(machine: InMemoryHost) -> None:
    calls: list[bool] = []

    def interrupt_unseen() -> None:
        time.sleep(0.5)  # by then the main thread waits for news
        # In another thread it ends no wait of the main one, as if it came just before that.
        signal.raise_signal(signal.SIGINT)
        wait_for(is_cancelled, 10)
        calls.append(True)

    machine.script("node01", NodeLife(boots_after=None))
    machine.calls.before("console", interrupt_unseen)
    with pytest.raises(KeyboardInterrupt):
        memory_lab(machine, nodes=1).start(deadline=600)
    assert calls == [True]
    assert leftovers(machine) == []


def test_a_start_that_is_interrupted_makes_no_further_node(machine: InMemoryHost) -> None:
    for node in ("node02", "node03"):
        machine.script(node, NodeLife(boots_after=None))
    machine.calls.before("create", interrupt, "node01")
    with pytest.raises(KeyboardInterrupt):
        memory_lab(machine, nodes=9).start()
    # As many more as are made at a time.
    assert "create node04" not in machine.calls.order("create")
    assert leftovers(machine) == []


@pytest.mark.parametrize(
    ("what", "life"), [("console", NodeLife(boots_after=None)), ("open", NodeLife(answers=False))]
)
def test_a_start_that_waits_for_a_node_ends_when_it_is_cancelled(
    machine: InMemoryHost, what: str, life: NodeLife
) -> None:
    cancelled = threading.Event()
    machine.script("node01", life)
    machine.calls.before(what, lambda: threading.Timer(0.01, cancelled.set).start())
    with pytest.raises(LabError, match="cancelled"):
        memory_lab(machine, nodes=1).start(deadline=600, cancelled=cancelled)
    assert machine.calls.order("create") == ["create node01"]
    assert leftovers(machine) == []


def test_a_node_that_dies_as_the_start_is_cancelled_is_not_tried_again(machine: InMemoryHost) -> None:
    cancelled = threading.Event()
    machine.script("node01", NodeLife(dies="killed"))
    machine.calls.after("state", cancelled.set)
    with pytest.raises(LabError):
        memory_lab(machine, nodes=1).start(cancelled=cancelled)
    assert machine.calls.order("create") == ["create node01"]
    assert leftovers(machine) == []


def test_impatience_does_not_cut_the_cleaning_up_short(
    machine: InMemoryHost, caplog: pytest.LogCaptureFixture
) -> None:
    main = threading.main_thread().ident
    assert main is not None

    def heard_since(before: int) -> bool:
        return caplog.text.count("SIGINT: cleaning up first") > before

    def interrupt_again() -> None:
        for _ in range(2):
            before = caplog.text.count("SIGINT: cleaning up first")
            signal.pthread_kill(main, signal.SIGINT)
            wait_for(partial(heard_since, before), 60)

    machine.calls.before("open", interrupt, "node01")
    machine.calls.before("destroy", interrupt_again, "node01")
    with pytest.raises(KeyboardInterrupt):
        memory_lab(machine).start()
    assert leftovers(machine) == []


def test_an_end_that_hangs_is_waited_for_though_it_is_interrupted(
    machine: InMemoryHost, caplog: pytest.LogCaptureFixture
) -> None:
    goes_on = threading.Event()
    machine.calls.before("destroy", lambda: goes_on.wait(60), "node01")

    def interrupt_the_end() -> None:
        wait_for(lambda: "destroy node01" in machine.calls.order("destroy"), 60)
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, signal.SIGINT)
        wait_for(lambda: "cleaning up first" in caplog.text, 60)
        goes_on.set()

    interrupting = threading.Thread(target=interrupt_the_end)
    with pytest.raises(KeyboardInterrupt), memory_lab(machine):
        interrupting.start()
    interrupting.join()
    assert leftovers(machine) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_delivered_once_nothing_is_left(machine: InMemoryHost, number: signal.Signals) -> None:
    main = threading.main_thread().ident
    assert main is not None
    remains: list[list[str]] = []

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        remains.append(leftovers(machine))

    before = signal.signal(number, on_signal)
    try:
        machine.script("node01", NodeLife(boots_after=None))
        machine.calls.before("console", lambda: signal.pthread_kill(main, number), "node01")
        with pytest.raises(LabError, match="cancelled"):
            memory_lab(machine, nodes=1).start()
    finally:
        signal.signal(number, before)
    assert remains == [[]]


def test_an_interrupt_when_all_is_up_leaves_nothing(
    machine: InMemoryHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = LaunchProgress.__exit__

    def interrupted(progress: LaunchProgress, *raised: object) -> None:
        real(progress, *raised)
        signal.raise_signal(signal.SIGINT)

    # The last moment of the start: every node is proved, and nobody holds the lab yet.
    monkeypatch.setattr(LaunchProgress, "__exit__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        memory_lab(machine, nodes=1).start()
    assert leftovers(machine) == []


def test_a_start_in_another_thread_is_cancelled_by_its_event(machine: InMemoryHost) -> None:
    cancelled = threading.Event()
    machine.calls.before("open", cancelled.set, "node02")
    errors: list[BaseException] = []

    def start() -> None:
        try:
            memory_lab(machine).start(cancelled=cancelled)
        except LabError as error:
            errors.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert [str(error) for error in errors] == ["the start was cancelled"]
    assert leftovers(machine) == []
