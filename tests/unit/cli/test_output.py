import io
import json
import sys

import pytest
from made_traffic import a_cached_trace, a_trace
from reference_caches import Access

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


#: Two nodes store to other bytes of a line in turn.
CACHED = a_cached_trace([(0, 0, 8, "store"), (1, 8, 8, "store"), (0, 0, 8, "load"), (0, 32 << 20, 8, "load")])


def test_json_has_transactions_misses_and_false_sharing_of_a_cache() -> None:
    sums = json.loads(json.dumps(output.traffic_as_dict(CACHED)))
    assert sums["cache"] == {"size": 4096, "ways": 1, "coherence": "hardware", "atomics": "cached"}
    assert list(sums["transactions"]) == [
        "fill", "fill_ownership", "forward", "write_back", "upgrade", "invalidate", "atomic",
    ]  # fmt: skip
    assert sums["transactions"]["forward"] == [[1, 0], [1, 0]]
    assert sums["misses"]["cold"] == [[1, 1], [1, 0]]
    assert sums["misses"]["coherence"] == [[1, 0], [0, 0]]
    assert sums["invalidations"] == [[0, 0], [1, 0]]
    assert sums["false_sharing"] == [
        {
            "offset": 0, "home": "node01", "victim": "node01", "takers": "node02", "false_sharing": 1,
            "sharing": 0, "victim_bytes": "0-7", "takers_bytes": "8-15",
        }
    ]  # fmt: skip


def test_json_has_none_of_it_without_a_cache() -> None:
    sums = output.traffic_as_dict(a_trace({("load", 1, 0): 1}))
    assert not {"cache", "transactions", "misses", "invalidations", "false_sharing"} & set(sums)


def test_words_have_the_cache_its_tables_and_the_lines_that_are_falsely_shared() -> None:
    text = output.traffic_in_words(CACHED)
    assert "transactions by initiator, of a 4K cache a node, 1 way, LRU, hardware coherence:" in text
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line}
    assert rows["forward"] == ["1", "1"]
    assert rows["cold"] == ["2", "1"]
    assert rows["coherence"] == ["1", "0"]
    assert "0x0 node01 node01 node02" in " ".join(text.split())


def test_words_have_none_of_it_without_a_cache() -> None:
    text = output.traffic_in_words(a_trace({("load", 1, 0): 1}))
    assert "transactions" not in text and "misses" not in text and "false sharing" not in text


def test_of_many_lines_that_are_falsely_shared_the_rest_is_counted() -> None:
    steps: list[Access] = [(n, 64 * line + 8 * n, 8, "store") for n in (0, 1) for line in range(13)]
    text = output.traffic_in_words(a_cached_trace(steps))
    assert text.count("0x") == 10
    assert text.endswith("and 3 lines more")
