"""Every probe says how often its program runs, and that is how often it does."""

from pathlib import Path
from typing import Any

import pytest
from repeating_node import repeating

from fame_lab import probes
from fame_lab.core.jobs.progress import listen
from fame_lab.errors import ProbeError
from fame_lab.probes.common.declaration import declarations
from fame_lab.probes.common.program_step import in_words, program_run
from fame_lab.testing import LocalLab, LocalNode

#: By probe: parameters that make it short, and how many runs of its program they make on three nodes.
ASKED: dict[str, list[tuple[dict[str, Any], int]]] = {
    "atomics": [({}, 2 * (1 + 2 + 3)), ({"contenders": 2, "operations": "cas"}, 2)],
    "bandwidth": [
        ({"working_sets": ["4K"], "operations": ["read", "copy"]}, 1 + 2 * 2),
        ({"working_sets": ["4K"], "operations": ["read"], "memories": "fam"}, 1),
    ],
    "chase": [
        ({"working_sets": ["4K", "64K"]}, 1 + 2 * 2),
        ({"working_sets": ["4K"], "strides": [64, 128], "memories": "fam"}, 2 * 2),
    ],
    "false_sharing": [({}, 3 * 3), ({"distances": [64], "nodes": (2, 0)}, 2)],
    "litmus": [({"iterations": 3000}, 7 * 2)],
    "loaded_latency": [({"delays": [0, 100], "working_set": "64K"}, 1 + 2 * 3)],
    "locks": [({}, 3 * 3), ({"locks": "mcs", "nodes": (0, 1)}, 2)],
    "pingpong": [({"variants": ["cas", "one-line"]}, 2 * 2), ({"pairs": "all", "variants": "cas"}, 6 * 2)],
    "ring": [({"message_sizes": [8, 64]}, 2)],
    "timer": [({"seconds": 0.05}, 3), ({"seconds": 0.05, "nodes": (1,)}, 1)],
    "visibility": [({"exchanges": 5}, 3)],
    "workloads": [({"size": "4K", "operations": 1 << 14, "workloads": ["gups", "random"]}, 2 * 3)],
}


@pytest.fixture
def lab(tmp_path: Path) -> Any:
    return LocalLab.make(tmp_path, nodes=3)


def short(probe: str) -> dict[str, Any]:
    few = {"batches": 30, "batch_ms": 1}
    return {name: few[name] for name in declarations(probes.family(probe).run) if name in few}


@pytest.mark.parametrize(
    ("probe", "parameters", "runs"),
    [(probe, parameters, runs) for probe, cases in ASKED.items() for parameters, runs in cases],
)
def test_a_probe_expects_as_many_runs_as_it_makes(
    lab: Any, probe: str, parameters: dict[str, Any], runs: int
) -> None:
    steps: list[tuple[int, int | None, str]] = []
    if probe == "pingpong":  # of all pairs it is one match six times
        repeating(lab, {})
    with listen(lambda *step: steps.append(step)):
        probes.run(lab, probe, **short(probe), **parameters)
    assert steps[0] == (0, None, probe)
    assert steps[-1][:2] == (runs, runs)
    assert [done for done, _, _ in steps] == sorted(done for done, _, _ in steps)
    # What was expected once does not change under way.
    assert {total for _, total, _ in steps} == {None, runs}


def test_every_probe_is_asked() -> None:
    assert set(ASKED) == set(probes.names())


class FullNode(LocalNode):
    """A guest that can spare no memory."""

    def probe(self, *words: str, timeout: float | None = None) -> list[dict[str, Any]]:
        if words[0] != "memory":
            return super().probe(*words, timeout=timeout)
        with program_run(self.name, words):
            return [{"probe": "memory", "spare": 0}]


def test_no_run_is_expected_of_a_memory_without_room(lab: Any) -> None:
    steps: list[tuple[int, int | None, str]] = []
    lab.nodes[0] = FullNode("node01", 0, lab.fam.path)
    with listen(lambda *step: steps.append(step)):
        probes.run(lab, "chase", working_sets=["4K"], orders="random", batches=30)
    assert steps[-1] == (2, 2, "node01 chase random fam")


def test_the_clocks_come_first_and_are_none_of_the_runs(lab: Any) -> None:
    steps: list[tuple[int, int | None, str]] = []
    with listen(lambda *step: steps.append(step)):
        probes.run(lab, "chase", working_sets=["4K"], orders="random", memories="fam", batches=30)
    clocks = [step for step in steps if step[2].startswith("clocks")]
    assert {done for done, _, _ in clocks} == {0}
    assert "clocks 3/3: node0" in clocks[-1][2]
    assert steps[-1] == (1, 1, "node01 chase random fam")


def test_a_run_that_fails_is_no_step(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[tuple[int, int | None, str]] = []
    monkeypatch.setattr(type(lab.nodes[0]), "command", lambda *_: ["false"])
    with listen(lambda *step: steps.append(step)), pytest.raises(ProbeError):
        probes.run(lab, "pingpong", batches=30)
    assert steps[-1][0] == 0


def test_a_run_is_told_in_a_few_words() -> None:
    assert in_words(["memory"]) == "memory"
    assert in_words(["pingpong", "--variant", "cas", "--fam", "/dev/fam", "--role", "ping"]) == (
        "pingpong cas ping"
    )
