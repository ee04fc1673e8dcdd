import signal
import threading
import time

import pytest

from fame_lab.core.jobs.signals import deferred


def test_an_interrupt_sets_the_event_and_is_raised_at_the_end() -> None:
    event = threading.Event()
    reached = False
    with pytest.raises(KeyboardInterrupt), deferred(event):
        signal.raise_signal(signal.SIGINT)
        time.sleep(0.01)
        assert event.is_set()
        reached = True
    assert reached


def test_several_interrupts_are_raised_once() -> None:
    with pytest.raises(KeyboardInterrupt), deferred(threading.Event()):
        for _ in range(5):
            signal.raise_signal(signal.SIGINT)
    time.sleep(0.01)


def test_the_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with deferred(threading.Event()):
        pass
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    event = threading.Event()
    try:
        with deferred(event):
            signal.raise_signal(signal.SIGHUP)
        assert not event.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_than_the_main_one_is_left_alone() -> None:
    done = []

    def work() -> None:
        with deferred(threading.Event()):
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
