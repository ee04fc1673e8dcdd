import time
from collections.abc import Iterator

import pytest

from fame_lab import Lab, LabSpec
from fame_lab.lab.node_stats import NodeMonitor

pytestmark = pytest.mark.vm


@pytest.fixture
def signs(lab: Lab) -> Iterator[NodeMonitor]:
    signs = NodeMonitor(lab.spec.name)
    yield signs
    signs.close()


def test_each_node_has_its_state_port_memory_uptime_and_last_line(lab: Lab, signs: NodeMonitor) -> None:
    stats = signs.look()
    assert [each.node for each in stats] == ["node01", "node02"]
    assert {each.state for each in stats} == {"running"}
    assert [each.port for each in stats] == [node.ssh_port for node in lab.nodes]
    assert [each.console for each in stats] == [f"fame: {node.name} ready" for node in lab.nodes]
    for each in stats:
        assert each.memory is not None
        assert each.uptime is not None
        # More than the guest's kernel, and not FAM as well as all of its memory twice.
        assert 50 << 20 < each.memory < 2 * lab.spec.memory_size
        assert 0 < each.uptime < 24 * 3600


def test_a_node_that_works_keeps_a_core_busy_and_one_that_does_not_keeps_none(
    lab: Lab, signs: NodeMonitor
) -> None:
    signs.look()
    lab.nodes[0].run("end=$(($(date +%s) + 3)); while [ $(date +%s) -lt $end ]; do :; done")
    busy, idle = (each.cpu for each in signs.look())
    assert busy is not None
    assert idle is not None
    assert busy > 2 * idle


def test_a_node_that_is_paused_or_gone_is_seen_at_the_next_look(signs: NodeMonitor) -> None:
    with Lab(LabSpec("vital", nodes=2, fam="64M"), progress=False) as lab:
        mine = NodeMonitor("vital")
        assert {each.state for each in mine.look()} == {"running"}
        with lab.nodes[0].domain.paused():
            assert [each.state for each in mine.look()] == ["paused", "running"]
        lab.nodes[0].domain.destroy()
        assert [each.node for each in mine.look()] == ["node02"]
    assert mine.look() == []


def test_a_lab_that_is_not_there_has_no_nodes() -> None:
    assert NodeMonitor(f"none-{time.time_ns()}").look() == []
