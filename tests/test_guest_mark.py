import shlex
import subprocess

from hypothesis import given, settings
from hypothesis import strategies as st

from fame_lab.guest import mark


def test_no_two_commands_have_one_mark() -> None:
    assert mark.make() != mark.make()


@settings(max_examples=30, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_a_marked_command_is_the_command_whatever_is_in_it(text: str) -> None:
    command = "printf %s " + shlex.quote(text)
    ran = subprocess.run(["sh", "-c", mark.marked(command, mark.make())], capture_output=True)
    assert ran.stdout == text.encode()


def test_a_marked_command_has_its_mark_and_its_status() -> None:
    its = mark.make()
    ran = subprocess.run(["sh", "-c", mark.marked("env; exit 7", its)], capture_output=True, text=True)
    assert its in ran.stdout.splitlines()
    assert ran.returncode == 7
