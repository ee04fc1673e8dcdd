import errno
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fame_lab import Lab, LabSpec
from fame_lab.cli import main, run
from fame_lab.cli.parser import parse, parser
from fame_lab.errors import HostError, LabError
from fame_lab.host.doctor.diagnosis import Check, Diagnosis
from fame_lab.traffic.traffic import Traffic

FAME_LAB = [sys.executable, "-m", "fame_lab"]


def call(*words: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*FAME_LAB, *words], capture_output=True, text=True, timeout=timeout, check=False)


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
    with pytest.raises(SystemExit) as end:
        main.main(words)
    assert end.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "demo", "uname", "-r"], "arguments: -r; did you mean: fame-lab run demo -- COMMAND"),
        (["probe", "demo", "chase", "--batches=30"], "did you mean: -p NAME=VALUE for a probe's parameter"),
    ],
)
def test_options_meant_for_something_else_are_told_where_to_stand(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main.main(words)
    assert end.value.code == 2
    assert told in capsys.readouterr().err


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
    with pytest.raises(SystemExit) as end:
        main.main(words)
    said = capsys.readouterr().err
    assert end.value.code == 2
    assert len(said) < 5000
    assert "\x1b" not in said


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
    said = capsys.readouterr().err
    assert said.startswith("fame-lab: ")
    assert len(said) < 5000


def test_every_command_has_its_function() -> None:
    choices: dict[str, Any] = next(
        action.choices for action in parser()._actions if isinstance(action.choices, dict)
    )
    assert set(choices) == set(main._COMMANDS)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["up", "demo", "--nodes", "0"], "nodes is 0"),
        (["up", "demo", "--fam", "384M"], "256M and 512M"),
        (["up", "-nix", "--fam", "1M"], None),
        (["up", "o dd"], "name is 'o dd'"),
        (["report", "/nowhere/n.ipynb", "--output", "/nowhere/out"], "there is no notebook"),
    ],
)
def test_a_bad_field_is_one_message_and_no_traceback(words: list[str], told: str | None) -> None:
    answer = call(*words)
    assert "Traceback" not in answer.stderr
    if told is None:
        assert answer.returncode == 2
    else:
        assert answer.returncode == 1
        assert told in answer.stderr
        assert answer.stderr.startswith("fame-lab: ")


def test_an_error_cannot_steer_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_: object) -> int:
        raise LabError("it says\n\x1b[2J\x9b")

    monkeypatch.setitem(main._COMMANDS, "ls", refuse)
    assert main.main(["ls"]) == 1
    assert capsys.readouterr().err == "fame-lab: it says\n\\x1b[2J\\x9b\n"


def test_what_the_terminal_has_no_letter_for_ends_nothing() -> None:
    code = (
        "import sys; from fame_lab.cli import main as cli, output as o;"
        "from fame_lab.guest.ssh.run_result import RunResult;"
        "cli._COMMANDS['ls'] = lambda _: o.show_runs({'node01': RunResult('\\ufffd', '', 0, 0.0)}) or 0;"
        "sys.exit(cli.main(['ls']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env=os.environ | {"PYTHONIOENCODING": "ascii"}
    )
    assert (done.returncode, done.stdout) == (0, b"node01: \\ufffd\n")


def test_an_error_is_told_on_stderr_with_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_: object) -> int:
        raise LabError("a lab named 'demo' is running")

    monkeypatch.setitem(main._COMMANDS, "ls", refuse)
    assert main.main(["ls"]) == 1
    captured = capsys.readouterr()
    assert captured.err == "fame-lab: a lab named 'demo' is running\n"
    assert captured.out == ""


def test_an_interrupt_ends_with_status_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setitem(main._COMMANDS, "ls", interrupt)
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


def test_parameters_are_read_as_json_or_as_they_stand(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["probe", "demo", "chase", "-p", "repeat=5", "-p", "sizes=[1, 2]", "-p", "op=read"]
    given = dict(parser().parse_args(words).parameter)
    assert given == {"repeat": 5, "sizes": [1, 2], "op": "read"}


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
        told = "No space left on device, perhaps where the output goes"
        told = told if buffering else "the output cannot be written: No space left on device"
        assert answer.stderr == f"fame-lab: {told}\n"


@pytest.mark.parametrize("closed", [False, True])
def test_an_error_of_the_system_is_not_blamed_on_the_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], closed: bool
) -> None:
    def fail(_: object) -> int:
        raise OSError(errno.EIO, "Input/output error", "/a/file")

    monkeypatch.setitem(main._COMMANDS, "ls", fail)
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
        main._COMMANDS["up"](parse(["up", "unheard"]))


@pytest.fixture(scope="module")
def lab() -> Iterator[str]:
    name = f"cli-{os.getpid()}"
    up = call("up", name, "--nodes", "2", "--fam", "16M", timeout=240)
    assert up.returncode == 0, up.stderr
    yield name
    call("down", name)


@pytest.fixture(scope="module")
def traced() -> Iterator[str]:
    name = f"cli-traced-{os.getpid()}"
    assert call("up", name, "--nodes", "2", "--fam", "64M", "--trace").returncode == 0
    yield name
    assert call("down", name).returncode == 0


@pytest.mark.vm
def test_ls_shows_a_lab_that_up_started(lab: str) -> None:
    (entry,) = [entry for entry in json.loads(call("ls", "--json").stdout) if entry["name"] == lab]
    assert entry["nodes"] == {"node01": "running", "node02": "running"}
    assert entry["spec"]["fam"] == 16 << 20
    assert lab in call("ls").stdout


@pytest.mark.vm
def test_up_refuses_the_name_of_a_running_lab(lab: str) -> None:
    again = call("up", lab)
    assert again.returncode == 1
    assert lab in again.stderr and "Traceback" not in again.stderr


@pytest.mark.vm
def test_run_labels_what_each_node_says(lab: str) -> None:
    answer = call("run", lab, "--", "hostname; echo oops >&2")
    assert answer.stdout == "node01: node01\nnode02: node02\n"
    assert answer.stderr == "node01: oops\nnode02: oops\n"
    assert answer.returncode == 0


@pytest.mark.vm
def test_run_gives_the_first_status_that_is_not_0(lab: str) -> None:
    assert call("run", lab, "--", "[ $(hostname) = node01 ] || exit 7").returncode == 7
    assert call("run", lab, "--node", "node01", "--", "exit 3").returncode == 3


@pytest.mark.vm
def test_run_as_json_has_each_node_s_streams(lab: str) -> None:
    told = json.loads(call("run", lab, "--json", "--", "hostname").stdout)
    assert told["node02"]["stdout"] == "node02\n"
    assert told["node02"]["exit_status"] == 0


@pytest.mark.vm
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_that_is_interrupted_ends_its_command_in_every_node(lab: str, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [*FAME_LAB, "run", lab, "--", f"echo begun {number} > /dev/ttyS0; sleep 300"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    attached = Lab.attach(lab)
    while any(f"begun {number}" not in node.console() for node in attached.nodes):
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == (130 if number == signal.SIGINT else 128 + signal.SIGTERM)
    assert "Traceback" not in said
    left = attached.run("echo > /dev/ttyS0; ps | grep '[s]leep 300'; true")
    assert [ran.stdout for ran in left.values()] == ["", ""]


def test_a_result_that_is_there_is_not_overwritten(lab: str, tmp_path: Path) -> None:
    done = call("probe", lab, "chase", "--output", str(tmp_path))
    assert done.returncode == 1
    assert "is there" in done.stderr


def test_ssh_runs_a_command_and_gives_its_status(lab: str) -> None:
    answer = call("ssh", lab, "node02", "hostname; exit 4")
    assert answer.stdout == "node02\n"
    assert answer.returncode == 4


@pytest.mark.vm
def test_ssh_takes_a_command_that_begins_with_a_dash_for_one(lab: str) -> None:
    answer = call("ssh", lab, "node02", "--", "-x")
    assert answer.returncode == 127
    assert "-x: not found" in answer.stderr


def test_ssh_with_a_command_that_its_server_would_not_take_says_what_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main.main(["ssh", "demo", "node02", "x" * 9000]) == 1
    assert "fame-lab run demo --node node02 -- COMMAND" in capsys.readouterr().err


@pytest.mark.vm
def test_ssh_reads_no_configuration(lab: str) -> None:
    # All nodes are root@127.0.0.1: one's master connection would answer for another.
    words = Lab.attach(lab).node("node02").ssh_command
    assert words[:3] == ["ssh", "-F", "none"]
    told = subprocess.run([*words[:-1], "-G", words[-1]], capture_output=True, text=True, check=True).stdout
    said = dict(line.partition(" ")[::2] for line in told.splitlines())
    assert said["forwardagent"] == said["forwardx11"] == "no"
    assert said["controlmaster"] == "false"
    assert "proxycommand" not in said


@pytest.mark.vm
def test_restart_boots_the_nodes_named_anew(lab: str) -> None:
    assert call("run", lab, "--", "touch /run/before").returncode == 0
    again = call("restart", lab, "node02")
    assert (again.returncode, again.stdout) == (0, "node02 has booted anew\n"), again.stderr
    assert call("run", lab, "--", "ls /run | grep before").stdout == "node01: before\n"


@pytest.mark.vm
def test_an_unknown_node_is_told_with_those_that_are_there(lab: str) -> None:
    answer = call("ssh", lab, "node09", "true")
    assert answer.returncode == 1
    assert "node09" in answer.stderr and "node01, node02" in answer.stderr


def pattern(lab: str, *options: str) -> list[str]:
    """Give words that trace 2080 loads and 4096 stores of node01 in node02's memory."""
    program = "fame-probe pattern --fam /dev/fam --offset 0x2000000"
    return ["trace", lab, "--node", "node01", *options, "--", program]


@pytest.mark.vm
def test_trace_tells_who_accessed_whose_memory_while_a_command_ran(traced: str, tmp_path: Path) -> None:
    done = call(*pattern(traced, "--output", str(tmp_path / "data"), "--plot", str(tmp_path / "figure.png")))
    assert done.returncode == 0, done.stderr
    assert "loads by initiator (down) and home (across), traced:" in done.stdout
    assert re.search(r"node01 +0 +2080\nnode02 +0 +0\n", done.stdout)
    assert "100.0% of it remote" in done.stdout
    assert int(Traffic.load(tmp_path / "data").matrix().sel(op="store").sum()) == 4096
    assert (tmp_path / "figure.png").read_bytes()[1:4] == b"PNG"


@pytest.mark.vm
def test_trace_as_json_has_sums_runs_and_what_became_of_the_order(traced: str, tmp_path: Path) -> None:
    done = call(*pattern(traced, "--json", "--order", str(tmp_path / "order.parquet")))
    told = json.loads(done.stdout)
    assert told["traffic"]["nodes"] == ["node01", "node02"]
    assert told["traffic"]["accesses"] == {"load": [[0, 2080], [0, 0]], "store": [[0, 4096], [0, 0]]}
    assert told["traffic"]["bytes"]["load"] == [[0, 8 * 2080], [0, 0]]
    assert told["traffic"]["order"]["accesses"] == 2080 + 4096
    assert told["runs"]["node01"]["exit_status"] == 0


@pytest.mark.vm
def test_trace_without_a_command_ends_when_it_is_interrupted(traced: str) -> None:
    with subprocess.Popen(
        [*FAME_LAB, "trace", traced, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr is not None
        assert running.stderr.readline() == "recording; Ctrl-C ends it\n"
        running.send_signal(signal.SIGINT)
        told = json.loads(running.communicate(timeout=60)[0])
    assert running.returncode == 0
    assert told["traffic"]["remote_share"] is None


@pytest.mark.vm
def test_progress_goes_to_a_log_in_plain_lines_and_never_to_stdout(traced: str) -> None:
    done = call("trace", traced, "--json", "--seconds", "2")
    assert json.loads(done.stdout)["runs"] == {}
    first, *_, last = done.stderr.splitlines()
    assert first == "recording; Ctrl-C ends it"
    assert last.startswith("recording: 2/2 s, ")
    assert "\r" not in done.stderr


@pytest.mark.vm
def test_trace_that_is_interrupted_keeps_what_it_has_and_says_that_the_command_was_ended(
    traced: str, tmp_path: Path
) -> None:
    words = ["trace", traced, "--node", "node01", "--output", str(tmp_path / "data"), "--"]
    with subprocess.Popen(
        [*FAME_LAB, *words, "touch /tmp/begun; exec sleep 30"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        while call("run", traced, "--node", "node01", "--", "ls /tmp/begun").returncode:
            assert running.poll() is None
        running.send_signal(signal.SIGINT)
        stdout, stderr = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "nothing was accessed" in stdout
    assert "'touch /tmp/begun; exec sleep 30' was ended in the nodes that answer" in stderr
    assert Traffic.load(tmp_path / "data").nodes == ("node01", "node02")


@pytest.mark.parametrize("path", ["traffic.gif", "/nowhere/traffic.png"])
def test_a_plot_that_cannot_be_is_refused_before_the_recording(
    path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["trace", "demo", "--plot", path]) == 1
    assert path in capsys.readouterr().err


@pytest.mark.vm
def test_trace_of_a_lab_without_one_says_what_to_set(lab: str, tmp_path: Path) -> None:
    done = call("trace", lab, "--seconds", "1")
    assert done.returncode == 1
    assert "trace=True" in done.stderr
    done = call("trace", lab, "--seconds", "1", "--output", str(tmp_path))
    assert "is there" in done.stderr


@pytest.mark.vm
def test_down_ends_a_lab_and_an_unknown_one_is_told() -> None:
    name = f"cli-down-{os.getpid()}"
    assert call("up", name, "--nodes", "1", "--fam", "1M", timeout=240).returncode == 0
    assert call("down", name).returncode == 0
    assert name not in call("ls").stdout
    again = call("down", name)
    assert again.returncode == 1 and name in again.stderr


@pytest.mark.vm
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_that_is_interrupted_leaves_nothing(number: signal.Signals) -> None:
    name = f"cli-int-{os.getpid()}-{int(number)}"
    process = subprocess.Popen(
        [*FAME_LAB, "--verbose", "up", name, "--nodes", "2", "--fam", "1M"], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if "node01: booting" in line:
                process.send_signal(number)
                break
        _, errors = process.communicate(timeout=120)
        assert process.returncode not in (0, 1)
        assert "Traceback" not in errors
        assert name not in call("ls").stdout
    finally:
        process.kill()
        call("down", name)
