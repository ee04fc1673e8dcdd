from collections.abc import Iterator
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from fame_lab.errors import CommandError, LabError, SpecError

C = """
#include <stdio.h>
int main(int n, char **words) { printf("%s and %s\\n", words[1], words[2]); return n - 3; }
"""


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    # What is displayed goes to the one shell that the process has.
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "fame_lab")
    yield shell
    InteractiveShell.clear_instance()


def output_of(shell: InteractiveShell, magic: str, line: str, cell: str) -> str:
    with capture_output() as captured:
        shell.run_cell_magic(magic, line, cell)
    (output,) = captured.outputs
    assert "text/html" in output.data
    # What was displayed is not given otherwise.
    assert captured.stdout == ""
    return str(output.data["text/plain"])


@pytest.mark.vm
def test_a_cell_runs_on_one_node_or_on_all(lab: Any, shell: InteractiveShell) -> None:
    shell.user_ns["lab"] = lab
    assert output_of(shell, "node", "node02", "hostname\necho a | cat\n").endswith("node02\na")
    both = output_of(shell, "nodes", "", "hostname; cat /proc/sys/kernel/ostype")
    assert "node01\nLinux\nnode02" in both


@pytest.mark.vm
def test_a_status_other_than_0_is_shown_and_raised_unless_told_otherwise(
    lab: Any, shell: InteractiveShell
) -> None:
    shell.user_ns["lab"] = lab
    assert "exit status 3" in output_of(shell, "node", "node01 --no-raise", "exit 3")
    with capture_output() as captured, pytest.raises(CommandError, match="status 3"):
        shell.run_cell_magic("node", "node01", "echo before; exit 3")
    assert "before" in captured.outputs[0].data["text/plain"]


@pytest.mark.vm
def test_a_c_program_is_compiled_here_runs_there_and_leaves_nothing(
    lab: Any, shell: InteractiveShell
) -> None:
    shell.user_ns["lab"] = lab
    assert output_of(shell, "nodes", "--c --args \"one 'and two'\"", C).count("one and and two") == 2
    assert lab.nodes[0].run("ls /tmp").stdout.count("fame-cell") == 0


@pytest.mark.vm
def test_arguments_without_a_program_and_unknown_nodes_are_refused(lab: Any, shell: InteractiveShell) -> None:
    shell.user_ns["lab"] = lab
    with pytest.raises(SpecError, match="give --c"):
        shell.run_cell_magic("nodes", "--args x", "true")
    with pytest.raises(LabError, match="has no node 'node09'; it has node01"):
        shell.run_cell_magic("node", "node09", "true")


@pytest.mark.vm
def test_a_lab_that_is_not_the_notebooks_is_attached_by_its_name(lab: Any, shell: InteractiveShell) -> None:
    assert "node01" in output_of(shell, "node", f"node01 --lab {lab.spec.name}", "hostname")
