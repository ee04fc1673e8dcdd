import threading
from pathlib import Path
from typing import Any

import pytest

from fame_lab.errors import ProbeError, SSHError
from fame_lab.probes.common.barrier import run_at_barrier
from fame_lab.testing import LocalLab, LocalNode


@pytest.fixture
def lab(tmp_path: Path) -> Any:
    return LocalLab.make(tmp_path, nodes=3)


def adding(lab: Any, count: int) -> dict[Any, list[str]]:
    return {node: ["add", "--fam", "/dev/fam", "--offset", "0", "--count", str(count)] for node in lab.nodes}


def test_nodes_start_together_and_each_line_comes_back(lab: Any) -> None:
    outputs = run_at_barrier(lab, adding(lab, 1000), peer_timeout=10, timeout=60)
    assert sorted(outputs) == ["node01", "node02", "node03"]
    assert max(lines[0]["last"] for lines in outputs.values()) == 3000


def test_it_begins_well_after_a_run_that_left_in_the_middle(lab: Any) -> None:
    control = lab.fam.control
    lab.fam.write(control.barrier(0), (1).to_bytes(4, "little"))
    lab.fam.write(control.release(1), (1).to_bytes(8, "little"))
    run_at_barrier(lab, adding(lab, 10), peer_timeout=10, timeout=60)
    assert int.from_bytes(lab.fam.read(0, 8), "little") == 30


class DyingNode(LocalNode):
    """A node that goes away in the middle, having told how far it got."""

    def probe(self, *words: str, **_: Any) -> list[dict[str, Any]]:
        at = int(words[words.index("--progress") + 1])
        with self.fam.open("r+b") as file:
            file.seek(at)
            file.write((12).to_bytes(8, "little"))
        raise SSHError(f"{self.name} went away during the probe")


def test_a_node_that_dies_is_named_with_how_far_it_got_and_the_others_are_released(lab: Any) -> None:
    lab.nodes[2] = DyingNode("node03", 2, lab.fam.path)
    before = threading.active_count()
    with pytest.raises(
        ProbeError, match=r"node03 had done 12 batches when it failed: .* went away.*other 2 were released"
    ):
        # Without a release it would take an hour.
        run_at_barrier(lab, adding(lab, 10), peer_timeout=3600, timeout=3700)
    assert threading.active_count() == before


def test_an_interrupt_releases_all(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(LocalLab, "each", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_at_barrier(lab, adding(lab, 10), peer_timeout=10, timeout=60)
    for node in lab.nodes:
        assert lab.fam.read(lab.fam.control.release(node.index), 8) != bytes(8)
