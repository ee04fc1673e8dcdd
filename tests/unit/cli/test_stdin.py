"""What comes on standard input goes to what runs in the nodes."""

import os
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from fame_lab.cli.stdin import StandardInput
from fame_lab.errors import HostError


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for each in (reading, writing):
        try:
            os.close(each)
        except OSError:
            continue


def fill(writing: int, content: bytes) -> None:
    def write() -> None:
        with os.fdopen(writing, "wb", closefd=False) as file:
            file.write(content)
        os.close(writing)

    threading.Thread(target=write, daemon=True).start()


def test_each_node_has_all_of_it(pipe: tuple[int, int]) -> None:
    content = os.urandom(3_000_000)
    stdin = StandardInput(pipe[0], ["node01", "node02"])
    fill(pipe[1], content)
    got: dict[str, bytes] = {}

    def take(node: str) -> None:
        got[node] = b"".join(stdin.pieces(node))

    threads = [threading.Thread(target=take, args=(node,)) for node in ("node01", "node02")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == {"node01": content, "node02": content}


def test_a_node_that_has_ended_holds_up_nobody(pipe: tuple[int, int]) -> None:
    content = os.urandom(3_000_000)
    stdin = StandardInput(pipe[0], ["node01", "node02"])
    stdin.end("node02")
    fill(pipe[1], content)
    assert b"".join(stdin.pieces("node01")) == content


def test_nothing_is_read_before_a_command_begins_or_after_all_have_ended(pipe: tuple[int, int]) -> None:
    os.write(pipe[1], b"first")
    stdin = StandardInput(pipe[0], ["node01"])
    pieces = stdin.pieces("node01")
    time.sleep(0.2)
    assert next(pieces) == b"first"
    stdin.end("node01")
    assert list(pieces) == []
    time.sleep(0.3)
    os.write(pipe[1], b"next")
    assert os.read(pipe[0], 100) == b"next"


def test_what_cannot_be_read_is_told() -> None:
    directory = os.open("/", os.O_RDONLY)
    try:
        with pytest.raises(HostError, match="cannot read standard input: Is a directory"):
            list(StandardInput(directory, ["node01"]).pieces("node01"))
    finally:
        os.close(directory)


def test_a_terminal_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.openpty()
    with os.fdopen(theirs) as terminal, os.fdopen(ours):
        monkeypatch.setattr(sys, "stdin", terminal)
        assert StandardInput.of_this_process(["node01"]) is None


def test_a_process_without_a_standard_input_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert StandardInput.of_this_process(["node01"]) is None
