"""Commands on several nodes: what each is given, and what is refused before any runs."""

import pytest

from fame_lab import Lab


@pytest.mark.vm
def test_real_nodes_run_their_own_commands_of_any_length(lab: Lab) -> None:
    results = lab.run_each(
        {"node01": "echo a; uname -n # " + "x" * 20_000, "node02": "cat; uname -n"}, timeout=60
    )
    assert [result.stdout for result in results.values()] == ["a\nnode01\n", "node02\n"]
