import concurrent.futures
import threading
from pathlib import Path

import pytest

from fame_lab.host import trace_plugin


def test_nodes_that_start_at_once_are_all_given_the_plugin(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    together = threading.Barrier(8)

    def deliver(_: int) -> Path:
        together.wait()
        return trace_plugin.delivered(7_002_000)

    for attempt in range(10):
        monkeypatch.setenv("FAME_LAB_CACHE", str(tmp_path / str(attempt)))
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            places = set(pool.map(deliver, range(8)))
        assert len(places) == 1
        assert [path.name for path in places.pop().parent.iterdir()] == ["fame-trace-1.so"]
