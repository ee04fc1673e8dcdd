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


def test_a_name_that_never_was_is_not_found() -> None:
    with pytest.raises(ImportError):
        importlib.import_module("fame_lab.nothing_of_the_kind")


def test_plots_has_what_the_notebooks_take_from_it() -> None:
    assert set(fame_lab.plots.__all__) >= {"access_order", "figure", "provenance", "side_by_side", "style"}
    assert fame_lab.__version__
