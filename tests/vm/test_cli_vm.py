import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import FAME_LAB, call, call_here

from fame_lab import Lab
from fame_lab.traffic.traffic import Traffic

#: What a start does upon Ctrl-C, test_launch tells.
SIGNALS = [pytest.param(signal.SIGINT, marks=pytest.mark.soak), signal.SIGTERM]


@pytest.fixture(scope="module")
def traced() -> Iterator[str]:
    """Start a lab by `up`; in the end `down` takes it away, and refuses to do so again."""
    name = f"cli-{os.getpid()}"
    up = call("up", name, "--nodes", "2", "--fam", "64M", "--trace")
    assert up.returncode == 0, up.stderr
    yield name
    down = call("down", name)
    assert down.returncode == 0, down.stderr
    assert name not in call_here("ls").stdout
    again = call_here("down", name)
    assert again.returncode == 1 and name in again.stderr


@pytest.fixture(scope="module")
def attached(traced: str) -> Iterator[Lab]:
    lab = Lab.attach(traced)
    yield lab
    lab.detach()


@pytest.mark.vm
def test_ls_shows_a_lab_that_up_started(traced: str) -> None:
    (entry,) = [entry for entry in json.loads(call("ls", "--json").stdout) if entry["name"] == traced]
    assert entry["nodes"] == {"node01": "running", "node02": "running"}
    assert entry["spec"]["fam"] == 64 << 20
    assert traced in call_here("ls").stdout


@pytest.mark.vm
def test_up_refuses_the_name_of_a_running_lab(traced: str) -> None:
    again = call_here("up", traced)
    assert again.returncode == 1
    assert traced in again.stderr and "Traceback" not in again.stderr


@pytest.mark.vm
def test_run_labels_what_each_node_says(traced: str) -> None:
    answer = call("run", traced, "--", "hostname; echo oops >&2")
    assert answer.stdout == "node01: node01\nnode02: node02\n"
    assert answer.stderr == "node01: oops\nnode02: oops\n"
    assert answer.returncode == 0


@pytest.mark.vm
def test_run_gives_the_first_status_that_is_not_0(traced: str) -> None:
    assert call("run", traced, "--", "[ $(hostname) = node01 ] || exit 7").returncode == 7
    assert call_here("run", traced, "--node", "node01", "--", "exit 3").returncode == 3


@pytest.mark.vm
def test_run_as_json_has_each_node_s_streams(traced: str) -> None:
    fields = json.loads(call_here("run", traced, "--json", "--", "hostname").stdout)
    assert fields["node02"]["stdout"] == "node02\n"
    assert fields["node02"]["exit_status"] == 0


@pytest.mark.vm
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_that_is_interrupted_ends_its_command_in_every_node(
    traced: str, attached: Lab, number: signal.Signals
) -> None:
    process = subprocess.Popen(
        [*FAME_LAB, "run", traced, "--", f"echo begun {number} > /dev/ttyS0; sleep 300"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while any(f"begun {number}" not in node.console() for node in attached.nodes):
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == (130 if number == signal.SIGINT else 128 + signal.SIGTERM)
    assert "Traceback" not in stderr
    results = attached.run("echo > /dev/ttyS0; ps | grep '[s]leep 300'; true")
    assert [ran.stdout for ran in results.values()] == ["", ""]


@pytest.mark.vm
def test_ssh_takes_a_command_that_begins_with_a_dash_for_one(traced: str) -> None:
    answer = call("ssh", traced, "node02", "--", "-x")
    assert answer.returncode == 127
    assert "-x: not found" in answer.stderr


@pytest.mark.vm
def test_ssh_reads_no_configuration(attached: Lab) -> None:
    # All nodes are root@127.0.0.1: one's master connection would answer for another.
    words = attached.node("node02").ssh_command
    assert words[:3] == ["ssh", "-F", "none"]
    output = subprocess.run([*words[:-1], "-G", words[-1]], capture_output=True, text=True, check=True).stdout
    settings = dict(line.partition(" ")[::2] for line in output.splitlines())
    assert settings["forwardagent"] == settings["forwardx11"] == "no"
    assert settings["controlmaster"] == "false"
    assert "proxycommand" not in settings


@pytest.mark.vm
def test_an_unknown_node_is_told_with_those_that_are_there(traced: str) -> None:
    answer = call("ssh", traced, "node09", "true")
    assert answer.returncode == 1
    assert "node09" in answer.stderr and "node01, node02" in answer.stderr


def pattern(traced: str, *options: str) -> list[str]:
    """Return words that trace 2080 loads and 4096 stores of node01 in node02's memory."""
    program = "fame-probe pattern --fam /dev/fam --offset 0x2000000"
    return ["trace", traced, "--node", "node01", *options, "--", program]


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
    done = call_here(*pattern(traced, "--json", "--order", str(tmp_path / "order.parquet")))
    fields = json.loads(done.stdout)
    assert fields["traffic"]["nodes"] == ["node01", "node02"]
    assert fields["traffic"]["accesses"] == {"load": [[0, 2080], [0, 0]], "store": [[0, 4096], [0, 0]]}
    assert fields["traffic"]["bytes"]["load"] == [[0, 8 * 2080], [0, 0]]
    assert fields["traffic"]["order"]["accesses"] == 2080 + 4096
    assert fields["runs"]["node01"]["exit_status"] == 0


@pytest.mark.vm
def test_trace_without_a_command_ends_when_it_is_interrupted(traced: str) -> None:
    with subprocess.Popen(
        [*FAME_LAB, "trace", traced, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr is not None
        assert running.stderr.readline() == "recording; Ctrl-C ends it\n"
        running.send_signal(signal.SIGINT)
        fields = json.loads(running.communicate(timeout=60)[0])
    assert running.returncode == 0
    assert fields["traffic"]["remote_share"] is None


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
    traced: str, attached: Lab, tmp_path: Path
) -> None:
    words = ["trace", traced, "--node", "node01", "--output", str(tmp_path / "data"), "--"]
    with subprocess.Popen(
        [*FAME_LAB, *words, "touch /tmp/begun; exec sleep 30"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        node = attached.node("node01")
        while node.run("ls /tmp/begun", check=False).exit_status:
            assert running.poll() is None
            time.sleep(0.1)
        running.send_signal(signal.SIGINT)
        stdout, stderr = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "nothing was accessed" in stdout
    assert "'touch /tmp/begun; exec sleep 30' was ended in the nodes that answer" in stderr
    assert Traffic.load(tmp_path / "data").nodes == ("node01", "node02")


@pytest.mark.vm
def test_trace_of_a_lab_without_one_says_what_to_set(lab: Lab, tmp_path: Path) -> None:
    done = call_here("trace", lab.spec.name, "--seconds", "1")
    assert done.returncode == 1
    assert "trace=True" in done.stderr
    done = call_here("trace", lab.spec.name, "--seconds", "1", "--output", str(tmp_path))
    assert "is there" in done.stderr


@pytest.mark.vm
@pytest.mark.parametrize("number", SIGNALS)
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
        assert name not in call_here("ls").stdout
    finally:
        process.kill()
        call_here("down", name)


@pytest.mark.vm
def test_ssh_runs_a_command_and_gives_its_status(traced: str) -> None:
    answer = call("ssh", traced, "node02", "hostname; exit 4")
    assert answer.stdout == "node02\n"
    assert answer.returncode == 4


@pytest.mark.vm
def test_restart_boots_the_nodes_named_anew(traced: str, attached: Lab) -> None:
    attached.run("touch /run/before")
    again = call("restart", traced, "node02")
    assert (again.returncode, again.stdout) == (0, "node02 has booted anew\n"), again.stderr
    assert call_here("run", traced, "--", "ls /run | grep before").stdout == "node01: before\n"
    call_here("run", traced, "--", "rm -f /run/before")
