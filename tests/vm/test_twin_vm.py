"""The machine in memory is true: the same starts come to the same on this host, with real nodes."""

import os
from pathlib import Path

import pytest
from launch_scenarios import SCENARIOS, MemoryMachine, Outcome, RealMachine

from fame_lab.core import lab_directory
from fame_lab.testing import InMemoryHost

pytestmark = pytest.mark.vm


def in_memory(scenario: str, directory: Path) -> Outcome:
    """Play a scenario on a machine in memory, whose labs' files lie apart."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lab_directory, "SHM", directory)
        return SCENARIOS[scenario](MemoryMachine(InMemoryHost()), "twin")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_start_comes_to_the_same_with_real_nodes(scenario: str, tmp_path: Path) -> None:
    real = SCENARIOS[scenario](RealMachine(), f"twin-{os.getpid()}")
    assert real == in_memory(scenario, tmp_path)
    assert real.leftovers == []
