import os
import signal
from collections.abc import Iterator

import pytest

from fame_lab import Lab, LabSpec

# A shell that starts the tests in the background has them ignore Ctrl-C, and all that they start with them.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Two nodes that all tests share which leave them as they were."""
    with Lab(LabSpec(f"shared-{os.getpid()}", nodes=2, fam="64M"), progress=False) as lab:
        yield lab
