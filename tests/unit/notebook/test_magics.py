from collections.abc import Iterator

import pytest
from IPython.core.interactiveshell import InteractiveShell

from fame_lab import Lab
from fame_lab.errors import LabError


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    # What is displayed goes to the one shell that the process has.
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "fame_lab")
    yield shell
    InteractiveShell.clear_instance()


def test_no_lab_says_which_there_are(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lab, "list", staticmethod(list))
    with pytest.raises(
        LabError, match="no lab runs in this notebook: say which by --lab NAME; there are: none"
    ):
        shell.run_cell_magic("nodes", "", "true")
