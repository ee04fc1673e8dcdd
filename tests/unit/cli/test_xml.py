import json
import shlex
from pathlib import Path

import pytest

from fame_lab.cli import main
from fame_lab.cli.parser import parse
from fame_lab.cli.spec_args import spec_of
from fame_lab.spec.lab_spec import LabSpec

TCG = ("--accel", "tcg", "--fam", "64M")


@pytest.fixture
def lab_toml(tmp_path: Path) -> str:
    path = tmp_path / "lab.toml"
    path.write_text('name = "filed"\nnodes = 3\nfam = "64M"\n')
    return str(path)


def test_a_qemu_is_named_to_both_words() -> None:
    assert spec_of(parse(["up", "demo", "--qemu", "/q"])).qemu == "/q"
    assert spec_of(parse(["up", "demo", "--emulator", "/q"])).qemu == "/q"
    assert spec_of(parse(["xml", "demo", "--emulator", "/q", "--qemu"])).qemu == "/q"
    assert spec_of(parse(["xml", "demo", "--qemu"])).qemu == "auto"


@pytest.mark.parametrize("command", ["up", "xml"])
def test_a_file_says_what_the_options_do_not(lab_toml: str, command: str) -> None:
    assert spec_of(parse([command, "--spec", lab_toml])) == LabSpec("filed", nodes=3, fam="64M")
    other = spec_of(parse([command, "mine", "--spec", lab_toml, "--nodes", "40", "--fam", "16M"]))
    assert other == LabSpec("mine", nodes=40, fam="16M")


@pytest.mark.parametrize("command", ["up", "xml"])
def test_a_wrong_file_is_told_by_its_name(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text('name = "demo"\nnodes = 41')
    assert main.main([command, "--spec", str(path)]) == 1
    told = capsys.readouterr().err
    assert "wrong.toml: nodes is 41" in told
    assert "Traceback" not in told


def test_xml_is_printed_by_node(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["xml", "demo", "--node", "node02", *TCG]) == 0
    assert LabSpec.from_xml(capsys.readouterr().out) == LabSpec("demo", accel="tcg", fam="64M")


def test_command_lines_are_printed_one_a_line_for_a_shell(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["xml", "demo", "--qemu", "--ssh-port", "4000", *TCG]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [shlex.split(line)[0] for line in lines] == ["qemu-system-x86_64"] * 2
    assert "127.0.0.1:4001" in lines[1]


def test_as_json_it_is_by_the_nodes_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["xml", "demo", "--json", *TCG]) == 0
    assert list(json.loads(capsys.readouterr().out)) == ["node01", "node02"]


def test_a_folder_is_written_and_its_readme_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["xml", "demo", "--output", str(tmp_path / "x"), *TCG]) == 0
    assert Path(capsys.readouterr().out.strip()).read_text().startswith("demo: 2 nodes")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--node", "node03"], "'node03'"),
        (["--trace"], "trace=False"),
        (["--ssh-port", "0"], "ssh_port is 0"),
        (["--output", "x", "--qemu"], "--output"),
    ],
)
def test_what_cannot_be_is_one_message(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["xml", "demo", "--fam", "64M", "--accel", "auto", *words]) == 1
    streams = capsys.readouterr()
    assert told in streams.err
    assert streams.out == ""
