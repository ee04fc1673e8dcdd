import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fame_lab.guest.ssh import process_tag


def test_no_two_commands_have_one_mark() -> None:
    assert process_tag.new_tag() != process_tag.new_tag()


@settings(max_examples=30, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_a_marked_command_is_the_command_whatever_is_in_it(text: str) -> None:
    command = "printf %s " + shlex.quote(text)
    ran = subprocess.run(
        ["sh", "-c", process_tag.tagged(command, process_tag.new_tag())], capture_output=True
    )
    assert ran.stdout == text.encode()


SHELLS = [shell for shell in ("sh", "dash", "bash", "busybox") if shutil.which(shell)]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("length", [10, 7_900, 20_000, 300_000])
def test_a_framed_command_of_any_length_is_the_command_and_leaves_its_input_alone(
    shell: str, length: int
) -> None:
    its = process_tag.new_tag()
    command = (
        "printf '%s' '" + "é x\n" * (length // 5) + "' | wc -c; cat; env | grep FAME_LAB_COMMAND; exit 7\n"
    )
    line, script = process_tag.framed(command, its)
    assert len(line) < 9000
    words = [*(("busybox", "sh") if shell == "busybox" else (shell,)), "-c", line.decode()]
    own = os.environ | {"SHELL": str(shutil.which("sh" if shell == "busybox" else shell))}
    ran = subprocess.run(words, input=script + b"mine\n", capture_output=True, env=own)
    assert ran.stdout == f"{length // 5 * 5}\nmine\n{its}\n".encode()
    assert (ran.stderr, ran.returncode) == (b"", 7)


def test_a_framed_command_that_did_not_come_whole_is_not_run() -> None:
    line, script = process_tag.framed("echo begun\n" + "#" * 20_000, process_tag.new_tag())
    ran = subprocess.run(["sh", "-c", line.decode()], input=script[:-1], capture_output=True)
    assert (ran.stdout, ran.returncode) == (b"", 125)


@pytest.mark.parametrize("command", ["-x", "+x", "--"])
def test_a_command_that_begins_like_an_option_is_none(command: str) -> None:
    ran = subprocess.run(
        ["sh", "-c", process_tag.tagged(command, process_tag.new_tag())], capture_output=True, text=True
    )
    assert ran.returncode == 127
    assert "not found" in ran.stderr


def test_a_marked_command_has_its_mark_and_its_status() -> None:
    its = process_tag.new_tag()
    ran = subprocess.run(["sh", "-c", process_tag.tagged("env; exit 7", its)], capture_output=True, text=True)
    assert its in ran.stdout.splitlines()
    assert ran.returncode == 7


@pytest.mark.parametrize("grep", ["grep", "false"])
def test_what_bears_a_mark_is_ended_and_nothing_else(grep: str, tmp_path: Path) -> None:
    (tmp_path / "grep").symlink_to(str(shutil.which(grep)))  # or one that knows no -z
    its, another = process_tag.new_tag(), process_tag.new_tag()
    running = [
        subprocess.Popen(["sh", "-c", process_tag.tagged("sleep 60; true", each)], start_new_session=True)
        for each in (its, another)
    ]
    path = f"{tmp_path}:{os.environ['PATH']}"
    while its.encode() not in Path(f"/proc/{running[0].pid}/environ").read_bytes():
        assert running[0].poll() is None
    subprocess.run(["sh", "-c", process_tag.kill_command(its)], env=os.environ | {"PATH": path}, check=True)
    try:
        assert running[0].wait(30) == -9
        assert running[1].poll() is None
    finally:
        os.killpg(running[1].pid, 9)
