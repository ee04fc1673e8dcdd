"""Old names of modules that notebooks and documents gave."""

import importlib
import sys

import pytest

import fame_lab
from fame_lab.core.moved import MOVED


@pytest.mark.parametrize("old", MOVED)
def test_a_module_is_found_by_its_old_name_with_a_warning(old: str) -> None:
    sys.modules.pop(old, None)
    with pytest.warns(DeprecationWarning, match=MOVED[old].replace(".", r"\.")):
        module = importlib.import_module(old)
    new = importlib.import_module(MOVED[old])
    assert module is new
    assert new.__spec__ is not None
    assert new.__spec__.name == MOVED[old]


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("fame_lab", "ApplianceError", "ImageError"),
        ("fame_lab.errors", "ApplianceError", "ImageError"),
        ("fame_lab.core.jobs.progress", "heard_by", "listen"),
        ("fame_lab.lab.node_stats", "VitalSigns", "NodeMonitor"),
        ("fame_lab.lab.node_stats", "Vitals", "NodeStats"),
    ],
)
def test_a_name_is_found_by_its_old_one_with_a_warning(module: str, old: str, new: str) -> None:
    home = importlib.import_module(module)
    with pytest.warns(DeprecationWarning, match=rf"{old} is .*{new} now") as warned:
        value = getattr(home, old)
    assert value is getattr(home, new)
    assert warned[0].filename == __file__


def test_all_that_is_public_is_there_and_every_error_is_public() -> None:
    errors = importlib.import_module("fame_lab.errors")
    assert set(errors.__all__) <= set(fame_lab.__all__)
    assert all(getattr(fame_lab, name) is not None for name in fame_lab.__all__)
    kinds = {
        name
        for name, each in vars(errors).items()
        if isinstance(each, type) and each.__module__ == errors.__name__
    }
    assert kinds == set(errors.__all__)


def test_a_name_that_never_was_is_not_found() -> None:
    with pytest.raises(ImportError):
        importlib.import_module("fame_lab.nothing_of_the_kind")


def test_plots_has_what_the_notebooks_take_from_it() -> None:
    assert set(fame_lab.plots.__all__) >= {"access_order", "figure", "provenance", "side_by_side", "style"}
    assert fame_lab.__version__
