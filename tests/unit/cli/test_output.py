import io
import sys

import pytest

from fame_lab.cli import output
from fame_lab.errors import FameError, SSHError
from fame_lab.guest.ssh.run_result import RunResult

SAID = "\x1b]0;mine\x07\x1b[2Jhello\x9b\r\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def output_of(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, result: RunResult | FameError) -> str:
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, stream)
    output.show_runs({"node01": result})
    return stream.getvalue()


def test_on_a_terminal_what_a_guest_says_steers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    text = output_of(monkeypatch, Terminal(), RunResult(SAID, SAID, 1, 0.1))
    assert text.replace("\n", "").isprintable()
    assert text.count("hello") == 2


def test_in_a_file_it_is_as_the_guest_said_it(monkeypatch: pytest.MonkeyPatch) -> None:
    text = output_of(monkeypatch, io.StringIO(), RunResult(SAID, "", 0, 0.1))
    assert text == "node01: \x1b]0;mine\x07\x1b[2Jhello\x9b\n"


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()])
def test_an_error_that_quotes_a_guest_steers_nothing_anywhere(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO
) -> None:
    text = output_of(monkeypatch, stream, SSHError(f"node01: {SAID}"))
    assert text.replace("\n", "").isprintable()
