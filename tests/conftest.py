from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from fame_lab import Lab, LabSpec

if TYPE_CHECKING:
    from jupyter_lab import JupyterLab
    from playwright.sync_api import Browser

# A shell that starts the tests in the background has them ignore Ctrl-C, and all that they start with them.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy host is no mistake of what is tested.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Two nodes that all tests share which leave them as they were."""
    with Lab(LabSpec(f"shared-{os.getpid()}", nodes=2, fam="64M"), progress=False) as lab:
        yield lab


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterLab]:
    """A JupyterLab of this module's own."""
    from jupyter_lab import jupyter_lab, kernels

    directory = tmp_path_factory.mktemp("jupyter")
    with jupyter_lab(directory) as made:
        yield made
    assert kernels(directory) == []


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser without a display."""
    from notebook_page import chromium

    with chromium(tmp_path_factory.mktemp("chromium")) as made:
        yield made


@pytest.fixture(scope="module")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: ``$FAME_LAB_SCREENSHOTS``, if you want to look at them."""
    wanted = os.environ.get("FAME_LAB_SCREENSHOTS")
    directory = Path(wanted) if wanted else tmp_path_factory.mktemp("screenshots")
    directory.mkdir(parents=True, exist_ok=True)
    return directory
