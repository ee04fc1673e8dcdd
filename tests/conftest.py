from collections.abc import Iterator

import pytest

from fame_lab import Lab, LabSpec


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Two nodes that all tests share which leave them as they were."""
    with Lab(LabSpec("shared", nodes=2, fam="64M"), progress=False) as lab:
        yield lab
