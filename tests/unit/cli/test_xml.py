import json
import shlex
from dataclasses import fields
from pathlib import Path

import pytest

from fame_lab.cli import main
from fame_lab.cli.spec_args import spec_of
from fame_lab.cli.up import up
from fame_lab.cli.xml import xml
from fame_lab.spec.lab_spec import LabSpec
from fame_lab.spec.subnet import DEFAULT_SUBNET

TCG = ("--accel", "tcg", "--fam", "64M")


@pytest.fixture
def lab_toml(tmp_path: Path) -> str:
    path = tmp_path / "lab.toml"
    path.write_text('name = "filed"\nnodes = 3\nfam = "64M"\n')
    return str(path)


def described(command: str, *words: str) -> LabSpec:
    params = {"up": up, "xml": xml}[command].make_context(command, [*words]).params
    return spec_of(params["spec"], {field.name: params.get(field.name) for field in fields(LabSpec)})


def test_a_qemu_is_named_to_both_words() -> None:
    assert described("up", "demo", "--qemu", "/q").qemu == "/q"
    assert described("up", "demo", "--emulator", "/q").qemu == "/q"
    assert described("xml", "demo", "--emulator", "/q", "--qemu").qemu == "/q"
    assert described("xml", "demo", "--qemu").qemu == "auto"


@pytest.mark.parametrize("command", ["up", "xml"])
def test_a_file_says_what_the_options_do_not(lab_toml: str, command: str) -> None:
    assert described(command, "--spec", lab_toml) == LabSpec("filed", nodes=3, fam="64M")
    other = described(command, "mine", "--spec", lab_toml, "--nodes", "40", "--fam", "16M")
    assert other == LabSpec("mine", nodes=40, fam="16M")


@pytest.mark.parametrize("command", ["up", "xml"])
def test_a_wrong_file_is_told_by_its_name(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text('name = "demo"\nnodes = 41')
    assert main.main([command, "--spec", str(path)]) == 1
    stderr = capsys.readouterr().err
    assert "wrong.toml: nodes is 41" in stderr
    assert "Traceback" not in stderr


@pytest.mark.parametrize("command", ["up", "xml"])
@pytest.mark.parametrize("subnet", ["10.1.0.0/24", DEFAULT_SUBNET])
def test_a_subnet_for_nodes_without_addresses_is_refused(
    lab_toml: str,
    command: str,
    subnet: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Or `up` would start a lab, if it did not refuse.
    monkeypatch.setattr("fame_lab.lab.lab.Lab.start", lambda _: pytest.fail("it was started"))
    for of in (["demo"], ["--spec", lab_toml]):
        assert main.main([command, *of, "--subnet", subnet]) == 1
        told = capsys.readouterr().err
        assert told.startswith(f"fame-lab: --subnet is '{subnet}', and with --network user nodes have no ")
        assert told.endswith("hint: give --network libvirt as well\n")
    words = ["--spec", lab_toml, "--network", "libvirt", "--subnet", subnet]
    assert str(described(command, *words).addresses) == subnet


def test_xml_is_printed_by_node(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["xml", "demo", "--node", "node02", *TCG]) == 0
    assert LabSpec.from_xml(capsys.readouterr().out) == LabSpec("demo", accel="tcg", fam="64M")


@pytest.mark.parametrize("words", [["--format", "qemu"], ["--qemu"]])
def test_command_lines_are_printed_one_a_line_for_a_shell(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["xml", "demo", *words, "--ssh-port", "4000", *TCG]) == 0
    streams = capsys.readouterr()
    assert ("xml --qemu is xml --format qemu now" in streams.err) is (words == ["--qemu"])
    lines = streams.out.splitlines()
    assert [shlex.split(line)[0] for line in lines] == ["qemu-system-x86_64"] * 2
    assert "127.0.0.1:4001" in lines[1]


def test_as_json_it_is_by_the_nodes_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["xml", "demo", "--json", *TCG]) == 0
    assert list(json.loads(capsys.readouterr().out)) == ["node01", "node02"]


def test_a_folder_is_written_and_its_readme_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["xml", "demo", "--output", str(tmp_path / "x"), *TCG]) == 0
    assert Path(capsys.readouterr().out.strip()).read_text().startswith("demo: 2 nodes")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--node", "node03"], "'node03'"),
        (["--trace"], "with no --trace"),
        (["--ssh-port", "0"], "--ssh-port is 0"),
        (["--output", "x", "--qemu"], "--output"),
        (["--output", "x", "--format", "domain"], "--output"),
        (["--emulator", "here"], "--emulator is 'here'"),
    ],
)
def test_what_cannot_be_is_one_message(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["xml", "demo", "--fam", "64M", "--accel", "auto", *words]) == 1
    streams = capsys.readouterr()
    assert complaint in streams.err
    assert streams.out == ""
