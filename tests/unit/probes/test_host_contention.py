import math
import time
from pathlib import Path

import pytest

from fame_lab.probes.common import host_contention
from fame_lab.probes.common.host_contention import Contention


def pressure(total: int) -> str:
    return f"some avg10=1.00 avg60=2.00 avg300=3.00 total={total}\nfull avg10=0.00 avg60=0.00 total=7\n"


def test_the_share_is_of_the_time_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "cpu"
    monkeypatch.setattr(host_contention, "_PRESSURE", file)
    clock = iter([100.0, 110.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    file.write_text(pressure(5_000_000))
    with Contention() as contention:
        file.write_text(pressure(9_000_000))
    assert contention.share == 0.4


@pytest.mark.parametrize("content", [None, "", "nonsense", "full avg10=0.00 total=3\n"])
def test_a_kernel_that_does_not_tell_leaves_it_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "cpu").write_text(content)
    monkeypatch.setattr(host_contention, "_PRESSURE", tmp_path / "cpu")
    with Contention() as contention:
        pass
    assert math.isnan(contention.share)
    assert "unknown" in host_contention.contention_note(contention.share)
