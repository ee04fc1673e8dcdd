import concurrent.futures
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from leftovers import leftovers

from fame_lab import Lab

pytestmark = pytest.mark.vm

SCRIPT = """
import sys, time
from fame_lab import Lab, LabSpec
print("begun", flush=True)
with Lab(LabSpec("cut", nodes=3, fam="1M", fam_path={path!r}, qemu={qemu!r}), progress=False) as lab:
    print("up", flush=True)
    time.sleep(2)
"""


def interrupt_at(seconds: float, signals: list[signal.Signals], qemu: str) -> None:
    """Start a lab in a process of its own, interrupt it after `seconds`, and see that nothing is left."""
    path = Path(f"/dev/shm/fame-cut-{os.getpid()}")  # noqa: S108
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(path=str(path), qemu=qemu)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    time.sleep(seconds)
    for number in signals:
        process.send_signal(number)
        time.sleep(0.1)
    _, stderr = process.communicate(timeout=120)
    assert leftovers("cut") == []
    assert not path.exists()
    # It had time to end by itself only if the interrupt came after the whole of it.
    assert process.returncode in (-signal.SIGINT, -signal.SIGTERM, 0), stderr


def test_a_start_that_is_interrupted_leaves_nothing(qemu: str) -> None:
    interrupt_at(2.0, [signal.SIGINT], qemu)


@pytest.mark.soak
@pytest.mark.parametrize("attempt", range(20))
def test_twenty_starts_interrupted_at_random_moments_leave_nothing(attempt: int, qemu: str) -> None:
    interrupt_at(random.Random().uniform(0, 10), [signal.SIGINT], qemu)  # noqa: S311


def test_a_start_under_way_is_left_alone_by_who_clears_up_orphans(qemu: str) -> None:
    from fame_lab import LabSpec

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        lab = Lab(LabSpec("early", nodes=1, fam="1M", qemu=qemu), progress=False)
        try:
            coming = pool.submit(lab.start)
            while not coming.done():
                for entry in Lab.list():
                    assert entry.name != "early" or not entry.end_if_orphan()
            assert coming.result().run("true")["node01"].exit_status == 0
        finally:
            lab.stop()
    assert leftovers("early") == []


def test_a_launch_a_new_boot_and_a_probe_are_heard(qemu: str) -> None:
    from fame_lab import LabSpec
    from fame_lab.core.jobs.progress import job, listen

    steps: list[tuple[int, int | None, str]] = []
    with (
        listen(lambda *step: steps.append(step)),
        Lab(LabSpec("heard", nodes=2, fam="1M", qemu=qemu)) as lab,
    ):
        assert steps[0] == (0, 2, "heard") and steps[-1] == (2, 2, "ready")
        assert any("node02 booting" in words for _, _, words in steps)
        steps.clear()
        with job("mine", total=7):
            lab.nodes[1].restart()
            lab.probe("pingpong", variants="cas", batches=30)
        assert {(done, total) for done, total, _ in steps} == {(0, 7)}
        texts = [words for _, _, words in steps]
        assert "node02 boots: node02 prove" in texts and any("clocks" in words for words in texts)
        assert any(words.startswith("pingpong 2/2: ") for words in texts)
    assert leftovers("heard") == []


@pytest.mark.soak
def test_impatience_does_not_cut_the_cleaning_up_short(qemu: str) -> None:
    interrupt_at(3.0, [signal.SIGINT] * 5, qemu)


@pytest.mark.soak
def test_a_start_that_is_terminated_leaves_nothing(qemu: str) -> None:
    interrupt_at(2.0, [signal.SIGTERM], qemu)


@pytest.mark.soak
def test_no_more_nodes_boot_at_a_time_than_the_host_has_cores(
    monkeypatch: pytest.MonkeyPatch, qemu: str
) -> None:
    from fame_lab import LabSpec
    from fame_lab.lab import boot

    booting: set[str] = set()
    most = 0
    real = boot.await_ready

    def watched(context: object, domain: object, *rest: object) -> None:
        nonlocal most
        node = domain.record.node  # type: ignore[attr-defined]
        booting.add(node)
        most = max(most, len(booting))
        try:
            real(context, domain, *rest)  # type: ignore[arg-type]
        finally:
            booting.discard(node)

    monkeypatch.setattr(boot, "await_ready", watched)
    with Lab(LabSpec("many", nodes=5, fam="1M", qemu=qemu), progress=False):
        pass
    assert most == min(5, len(os.sched_getaffinity(0)))
    assert leftovers("many") == []


@pytest.mark.soak
def test_an_exception_of_any_kind_while_the_start_is_watched_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
    qemu: str,
) -> None:
    from fame_lab import LabSpec
    from fame_lab.lab.launch_progress import LaunchProgress

    class Alarm(BaseException):
        pass

    def raise_alarm(_progress: LaunchProgress, _who: str, stage: str) -> None:
        if stage == "booting":
            raise Alarm

    monkeypatch.setattr(LaunchProgress, "show", raise_alarm)
    with pytest.raises(Alarm):
        Lab(LabSpec("alarmed", nodes=2, fam="1M", qemu=qemu), progress=False).start()
    assert leftovers("alarmed") == []


@pytest.mark.soak
def test_an_interrupt_when_all_is_up_leaves_nothing(monkeypatch: pytest.MonkeyPatch, qemu: str) -> None:
    from fame_lab import LabSpec
    from fame_lab.lab.launch_progress import LaunchProgress

    real = LaunchProgress.__exit__

    def interrupted(progress: LaunchProgress, *raised: object) -> None:
        real(progress, *raised)
        signal.raise_signal(signal.SIGINT)

    # The last moment of the start: every node is proved, and nobody holds the lab yet.
    monkeypatch.setattr(LaunchProgress, "__exit__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Lab(LabSpec("late", nodes=1, fam="1M", qemu=qemu), progress=False).start()
    assert leftovers("late") == []
