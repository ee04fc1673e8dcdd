import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fame_lab import Lab, SSHError
from fame_lab.core.jobs.cancellation import cancellable, is_cancelled, shielded

pytestmark = pytest.mark.vm

#: A shell, a child of it, and one in a session of its own; each would go on for long.
COMMAND = "sleep 3001 & setsid sleep 3002 & sleep 3003; sleep 3004"


@contextmanager
def later(seconds: float, do: object) -> Iterator[None]:
    timer = threading.Timer(seconds, do)  # type: ignore[arg-type]
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def sleepers(lab: Lab) -> str:
    return "".join(ran.stdout for ran in lab.run("ps | grep '[s]leep 300'; true").values())


def test_a_command_called_off_ends_in_the_guest_with_all_that_it_started(lab: Lab) -> None:
    enough = threading.Event()
    with later(1.0, enough.set), cancellable(enough), pytest.raises(SSHError, match="was called off"):
        lab.nodes[0].run(COMMAND)
    assert sleepers(lab) == ""


def test_a_command_that_is_part_of_the_shell_ends_too(lab: Lab) -> None:
    enough = threading.Event()
    loop = "trap '' TERM INT HUP; dd if=/dev/zero of=/dev/null bs=64 & while :; do :; done"
    with later(1.0, enough.set), cancellable(enough), pytest.raises(SSHError, match="was called off"):
        lab.nodes[0].run(loop)
    assert lab.nodes[0].run("ps | grep -c '/dev/[z]ero'; true").stdout == "0\n"


def test_what_is_called_off_before_it_begins_does_not_run(lab: Lab) -> None:
    enough = threading.Event()
    enough.set()
    with cancellable(enough), pytest.raises(SSHError, match="called off"):
        lab.nodes[0].run("touch /tmp/ran")
    assert lab.nodes[0].run("test -e /tmp/ran", check=False).exit_status == 1


def test_ctrl_c_ends_a_command_on_every_node(lab: Lab) -> None:
    with later(1.0, lambda: os.kill(os.getpid(), signal.SIGINT)), pytest.raises(KeyboardInterrupt):
        lab.run(COMMAND)
    assert sleepers(lab) == ""


def test_a_command_given_up_ends_in_the_guest(lab: Lab) -> None:
    with pytest.raises(SSHError, match="longer than its 1 s"):
        lab.nodes[1].run(COMMAND, timeout=1)
    assert sleepers(lab) == ""


def test_what_others_run_goes_on(lab: Lab) -> None:
    enough = threading.Event()
    node = lab.nodes[0]
    node.run("sleep 3000 > /dev/null 2>&1 &")
    with later(0.5, enough.set), cancellable(enough), pytest.raises(SSHError):
        node.run("sleep 3001")
    assert "sleep 3000" in sleepers(lab)
    node.run("killall sleep")


def test_what_a_command_left_running_on_purpose_goes_on(lab: Lab) -> None:
    node = lab.nodes[0]
    node.run("sleep 3005 > /dev/null 2>&1 &")
    assert "sleep 3005" in sleepers(lab)
    node.run("killall sleep")


def test_cleaning_up_is_not_called_off(lab: Lab) -> None:
    enough = threading.Event()
    enough.set()
    with cancellable(enough), shielded():
        assert not is_cancelled()
        assert lab.nodes[0].run("echo cleaned").stdout == "cleaned\n"
