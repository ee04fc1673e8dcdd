from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.vm
@pytest.mark.parametrize(
    ("home", "runtime"),
    [
        ("h" * 45, "without"),
        ("a,b", "without"),
        pytest.param("h" * 45, "with", marks=pytest.mark.soak),
        # For a space and for a comma the same directories lie elsewhere: session_directory.py.
        pytest.param("a b", "with", marks=pytest.mark.soak),
        pytest.param("a b", "without", marks=pytest.mark.soak),
        pytest.param("a,b", "with", marks=pytest.mark.soak),
    ],
)
def test_a_lab_starts_in_a_home_with_an_odd_path(
    as_ordinary_user: Callable[[str], Any], home: str, runtime: str
) -> None:
    result = as_ordinary_user(
        f"""
import json, os
from fame_lab.core.cache import cache_directory
os.environ["FAME_LAB_CACHE"] = str(cache_directory())
os.environ["HOME"] += "/{home}"
os.makedirs(os.environ["HOME"], exist_ok=True)
if {runtime!r} == "without":
    os.environ.pop("XDG_RUNTIME_DIR", None)
os.environ.pop("XDG_CONFIG_HOME", None)
os.environ.pop("XDG_CACHE_HOME", None)
from fame_lab import Lab, LabSpec
with Lab(LabSpec("longhome", nodes=1, fam="64M", trace=True), progress=False) as lab:
    print(json.dumps(lab.nodes[0].run("hostname").stdout.strip()))
"""
    )
    assert result == "node01"
