import errno
import inspect
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import click
import pytest

from fame_lab import LabSpec, traffic
from fame_lab.cli import ls, main, probe, run
from fame_lab.errors import HostError, LabError
from fame_lab.guest.ssh import file_transfer
from fame_lab.host.doctor.diagnosis import Check, Diagnosis


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["fly"],
        ["up"],
        ["xml"],
        ["up", "demo", "--nodes", "two"],
        ["up", "demo", "--accel", "warp"],
        ["down"],
        ["down", "demo", "--all"],
        ["run", "demo"],
        ["probe", "demo", "chase", "-p", "repeat"],
        ["report", "notebook.ipynb"],
        ["trace", "demo", "--seconds", "0"],
        ["trace", "demo", "--seconds", "nan"],
    ],
)
def test_words_that_make_no_sense_end_with_status_2(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(words) == 2
    assert "Usage: fame-lab" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["run", "demo", "uname", "-r"], "option '-r'; did you mean: fame-lab run demo -- COMMAND"),
        (["probe", "demo", "chase", "--batches=30"], "option '--batches'; did you mean: -p NAME=VALUE"),
    ],
)
def test_options_meant_for_something_else_are_told_where_to_stand(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(words) == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["up", "x", "--nodes", "9" * 100_000],
        ["up", "x", "--vcpus", "\x1b[2J"],
        ["up", "x", "--accel", "x" * 100_000],
        ["x" * 100_000],
        ["ls", "x" * 100_000],
        ["probe", "x", "chase", "-p", "x" * 100_000],
        ["report", "x.ipynb", "--output", "x", "-p", "x" * 100_000],
        ["run", "x", "--timeout", "9" * 100_000 + "x", "--", "true"],
        ["trace", "x", "--seconds", "x" * 100_000],
        ["sweep", "chase", "--over", "nodes=1", "--output", "x", "--repeats", "9" * 100_000],
        ["up", "--spec", "/" + "x" * 100_000],
        ["compare", "x" * 100_000, "x"],
        ["report", "x" * 100_000, "--output", "x"],
    ],
    ids=range(13),
)
def test_a_complaint_is_short_and_plain_whatever_was_typed(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(words) == 2
    stderr = capsys.readouterr().err
    assert len(stderr) < 5000
    assert "\x1b" not in stderr


@pytest.mark.parametrize(
    "words",
    [
        ["up", "x" * 100_000],
        ["up", "x", "--fam", "9" * 100_000],
        ["up", "x", "--subnet", "9" * 100_000],
        ["up", "x", "--memory", "nan"],
        ["up", "x", "--fam-path", "/" + "x" * 100_000],
        ["xml", "x", "--ssh-port", "70000"],
        ["run", "x", "--timeout", "nan", "--", "true"],
        ["run", "x", "--timeout", "0", "--", "true"],
        ["down", "x" * 100_000],
        ["sweep", "x" * 100_000, "--over", "nodes=1", "--output", "x"],
        ["sweep", "chase", "--over", f"nodes={'9' * 100_000}", "--output", "x"],
    ],
    ids=range(11),
)
def test_a_value_that_cannot_be_is_refused_in_short(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(words) == 1
    stderr = capsys.readouterr().err
    assert stderr.startswith("fame-lab: ")
    assert len(stderr) < 5000


def commands(group: click.Group = main.group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        yield path + name, command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")


@pytest.mark.parametrize(("name", "command"), [*commands()], ids=[name for name, _ in commands()])
def test_every_command_has_its_function_and_explains_itself(name: str, command: click.Command) -> None:
    assert command.callback is not None
    parameters = inspect.signature(command.callback).parameters.values()
    names = {each.name for each in command.params} | ({"words"} if name == "trace" else set())
    expected = {each.name for each in parameters if each.name != "context" and each.kind != each.VAR_KEYWORD}
    assert expected == names or (
        expected < names and any(each.kind == each.VAR_KEYWORD for each in parameters)
    )
    assert command.help
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            assert option.help, option.opts
            if not option.is_flag and not option.required:
                assert "default" in option.help, option.opts
            if option.default is not None and not option.is_flag and isinstance(option.default, (int, str)):
                assert str(option.default) in option.help or option.default == "", option.opts


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["up", "demo", "--nodes", "0"], "fame-lab: --nodes is 0"),
        (["up", "demo", "--fam", "384M"], "256M and 512M"),
        (["up", "demo", "--fam-path", "a,b"], "fame-lab: --fam-path is 'a,b'"),
        (["up", "demo", "--qemu", "x"], "fame-lab: --qemu is 'x'"),
        (["up", "demo", "--trace", "--accel", "kvm"], "give --accel tcg"),
        (["up", "-nix", "--fam", "1M"], None),
        (["up", "o dd"], "name is 'o dd'"),
        (["report", "/nowhere/n.ipynb", "--output", "/nowhere/out"], "there is no notebook"),
    ],
)
def test_a_bad_field_is_one_message_and_no_traceback(
    words: list[str], complaint: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    status, stderr = main.main(words), capsys.readouterr().err
    assert "Traceback" not in stderr
    if complaint is None:
        assert status == 2
    else:
        assert status == 1
        assert complaint in stderr
        assert stderr.startswith("fame-lab: ")


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every name that of a lab with a trace, whose nodes copy no file."""
    target: Any = SimpleNamespace(spec=LabSpec("demo", nodes=1, fam="1M", trace=True))

    def record(**parameters: Any) -> Any:
        return traffic.record(
            target,
            window=None,
            interval=0.1,
            **{"cache": None, "fabric": None, "dilation": None} | parameters,
        )

    def get(remote: str, local: str, most: str) -> Path:
        return file_transfer.get(cast("Any", None), remote, local, most=most)

    node = SimpleNamespace(name="node01", get=get)
    lab = SimpleNamespace(nodes=[node], node=lambda _: node, record=record)
    monkeypatch.setattr("fame_lab.lab.lab.Lab.attach", lambda _: lab)


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["trace", "demo", "--granule", "5"], "--granule is '5'"),
        (["trace", "demo", "--cache", "3K"], "--cache is '3K': 3 sets of 16 ways\nhint: give 2K or 4K"),
        (["trace", "demo", "--cache", "big"], "--cache is 'big'"),
        (["trace", "demo", "--cache", "4M"], "--cache is 4M, larger than FAM\nhint: FAM is 1M"),
        (["trace", "demo", "--cache", "4K", "--ways", "65"], "--ways is 65"),
        (
            ["trace", "demo", "--ways", "4"],
            "--ways is of a cache, and none is given\nhint: give --cache SIZE",
        ),
        (["trace", "demo", "--coherence", "software"], "--coherence is of a cache"),
        (["trace", "demo", "--atomics", "memory"], "--atomics is of a cache"),
        (["trace", "demo", "--output", "/"], "--output '/' is there"),
        (["trace", "demo", "--order", "/nowhere/x"], "--order is '/nowhere/x'"),
        (["trace", "demo", "--node", "node01"], "--node is of a command"),
        (["get", "demo", "--most", "0", "a", "b"], "--most is '0'"),
        (["report", __file__, "--output", str(Path(__file__).parent)], "--output is "),
        (["sweep", "chase", "--over", "nodes=1", "--output", "x", "--repeats", "0"], "--repeats is 0"),
        (["sweep", "chase", "--over", "fly=1", "--output", "x"], "--over has 'fly'"),
        (
            ["sweep", "chase", "--over", "nodes=1", "-p", "fam=1M", "--output", "x"],
            "'fam' is a field of the lab: give it in spec (--spec) or in over (--over)",
        ),
        # A probe's own seed is no option.
        (["sweep", "chase", "--over", "seed=x", "--output", "x"], "seed is 'x'"),
    ],
)
def test_an_error_about_an_option_names_it(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(words) == 1
    assert capsys.readouterr().err.startswith(f"fame-lab: {told}")


def test_a_process_ends_with_that_message_and_its_status() -> None:
    words = [sys.executable, "-m", "fame_lab", "up", "demo", "--nodes", "0"]
    answer = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert answer.returncode == 1
    assert answer.stderr.startswith("fame-lab: --nodes is 0")
    assert "Traceback" not in answer.stderr


def test_an_error_of_a_file_with_options_names_the_one_that_was_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lab.toml").write_text('name = "filed"\nvcpus = 1')
    assert main.main(["up", "--spec", str(tmp_path / "lab.toml"), "--nodes", "0"]) == 1
    assert capsys.readouterr().err.startswith("fame-lab: --nodes is 0")


def test_an_error_cannot_steer_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(as_json: bool) -> int:
        raise LabError("it says\n\x1b[2J\x9b")

    monkeypatch.setattr(ls.ls, "callback", refuse)
    assert main.main(["ls"]) == 1
    assert capsys.readouterr().err == "fame-lab: it says\n\\x1b[2J\\x9b\n"


def test_what_the_terminal_has_no_letter_for_ends_nothing() -> None:
    code = (
        "import sys; from fame_lab.cli import ls, main as cli, output as o;"
        "from fame_lab.guest.ssh.run_result import RunResult;"
        "ls.ls.callback = lambda as_json: o.show_runs({'node01': RunResult('\\ufffd', '', 0, 0.0)}) or 0;"
        "sys.exit(cli.main(['ls']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env=os.environ | {"PYTHONIOENCODING": "ascii"}
    )
    assert (done.returncode, done.stdout) == (0, b"node01: \\ufffd\n")


def test_an_error_is_told_on_stderr_with_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(as_json: bool) -> int:
        raise LabError("a lab named 'demo' is running")

    monkeypatch.setattr(ls.ls, "callback", refuse)
    assert main.main(["ls"]) == 1
    captured = capsys.readouterr()
    assert captured.err == "fame-lab: a lab named 'demo' is running\n"
    assert captured.out == ""


def test_an_interrupt_ends_with_status_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(as_json: bool) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(ls.ls, "callback", interrupt)
    assert main.main(["ls"]) == 130
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(("verdict", "status"), [("ok", 0), ("warn", 0), ("fail", 1)])
def test_the_doctor_s_status_says_whether_a_lab_can_run(
    verdict: Any, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "fame_lab.host.doctor.doctor.doctor", lambda: Diagnosis((Check("QEMU", verdict, "here"),))
    )
    assert main.main(["doctor", "--json"]) == status
    assert json.loads(capsys.readouterr().out)["can_run"] is (status == 0)


def test_one_word_is_a_command_line_and_several_are_quoted_into_one() -> None:
    assert run.command(["--", "ls | wc -l"]) == ["ls | wc -l"]
    assert run.command(["ls", "a b"]) == ["ls 'a b'"]
    assert run.command([]) == []


def test_a_node_that_is_named_twice_runs_a_command_once() -> None:
    asked: list[str] = []
    lab: Any = SimpleNamespace(
        node=lambda name: SimpleNamespace(name=name),
        each=lambda nodes, _: asked.extend(node.name for node in nodes),
    )
    run.outcome(lab, "true", ["node02", "node01", "node02"], stdin=False)
    assert asked == ["node02", "node01"]


def test_parameters_are_read_as_json_or_as_they_stand(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["demo", "chase", "-p", "repeat=5", "-p=sizes=[1, 2]", "-pop=read"]
    parameters = dict(probe.probe.make_context("probe", words).params["parameters"])
    assert parameters == {"repeat": 5, "sizes": [1, 2], "op": "read"}


def test_a_reader_that_leaves_early_is_no_error() -> None:
    program = f"{sys.executable} -m fame_lab --help | true; exit ${{PIPESTATUS[0]}}"
    answer = subprocess.run(["bash", "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("buffering", ["", "-u"])
@pytest.mark.parametrize("output", ["> /dev/full", ">&-"])
def test_output_that_cannot_be_written_is_one_line(
    output: str, buffering: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    program = f"{sys.executable} {buffering} -m fame_lab ls {output}"
    answer = subprocess.run(["bash", "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in answer.stderr
    if "full" in output:
        assert answer.returncode == 1
        message = "No space left on device, perhaps where the output goes"
        message = message if buffering else "the output cannot be written: No space left on device"
        assert answer.stderr == f"fame-lab: {message}\n"


@pytest.mark.parametrize("closed", [False, True])
def test_an_error_of_the_system_is_not_blamed_on_the_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], closed: bool
) -> None:
    def fail(as_json: bool) -> int:
        raise OSError(errno.EIO, "Input/output error", "/a/file")

    monkeypatch.setattr(ls.ls, "callback", fail)
    if closed:
        monkeypatch.setattr(sys, "stdout", None)
    assert main.main(["ls"]) == 1
    assert capsys.readouterr().err == "fame-lab: /a/file: Input/output error\n"


def test_a_start_whose_line_cannot_be_written_names_the_lab_that_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from fame_lab.lab import lab as module

    class Started:
        def __init__(self, spec: LabSpec) -> None:
            self.spec, self.fam = spec, SimpleNamespace(created=False)

        def start(self) -> "Started":
            return self

        def detach(self) -> None:
            pass

    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "Lab", Started)
    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(HostError, match=r"unheard runs.*No space left.*fame-lab down unheard"):
        main.group.main(["up", "unheard"], standalone_mode=False)


def test_a_result_that_is_there_is_not_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["probe", "demo", "chase", "--output", str(tmp_path)]) == 1
    assert "is there" in capsys.readouterr().err


def test_ssh_with_a_command_that_its_server_would_not_take_says_what_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main.main(["ssh", "demo", "node02", "x" * 9000]) == 1
    assert "fame-lab run demo --node node02 -- COMMAND" in capsys.readouterr().err


@pytest.mark.parametrize("path", ["traffic.gif", "/nowhere/traffic.png"])
def test_a_plot_that_cannot_be_is_refused_before_the_recording(
    path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["trace", "demo", "--plot", path]) == 1
    assert path in capsys.readouterr().err
