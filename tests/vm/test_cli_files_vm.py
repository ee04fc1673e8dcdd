"""`fame-lab put` and `get`."""

from pathlib import Path

import pytest
from command_line import call, call_here

from fame_lab import Lab


@pytest.mark.vm
def test_a_file_goes_into_one_node_or_into_all_and_comes_back(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = lab.spec.name
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-a b").write_bytes(b"\0\xff")
    (tmp_path / "-a b").chmod(0o750)
    done = call("put", name, "node01", "--", "-a b", "/root/")
    assert (done.stdout, done.returncode) == ("node01: /root/-a b\n", 0), done.stderr
    assert lab.run("ls '/root/-a b' 2>/dev/null | wc -l")["node02"].stdout == "0\n"
    done = call_here("put", name, "--", "-a b", "/root")
    assert (done.stdout, done.returncode) == ("node01: /root/-a b\nnode02: /root/-a b\n", 0)
    assert {each.stdout for each in lab.run("stat -c %a '/root/-a b'").values()} == {"750\n"}
    done = call("get", name, "node02", "/root/-a b", str(tmp_path / "back"))
    assert (done.stdout, done.returncode) == (f"{tmp_path}/back\n", 0), done.stderr
    assert (tmp_path / "back").read_bytes() == b"\0\xff"
    lab.run("rm '/root/-a b'")


@pytest.mark.vm
def test_nodes_can_be_named_by_an_option(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    done = call_here("put", lab.spec.name, "--node", "node02", "--node", "node02", str(tmp_path / "x"), "~")
    assert (done.stdout, done.returncode) == ("node02: ~/x\n", 0), done.stderr
    done = call_here("get", lab.spec.name, "--node", "node02", "~/x", str(tmp_path / "y"))
    assert (done.stdout, done.returncode) == (f"{tmp_path}/y\n", 0), done.stderr
    lab.run("rm -f x")


@pytest.mark.vm
@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["put", "LAB", "/nowhere/x", "/root"], "cannot read '/nowhere/x'"),
        (["put", "LAB", "/etc", "/root"], "is a directory"),
        (["put", "LAB", "node03", "/etc/passwd", "/root"], "no node 'node03'; it has node01, node02"),
        (["put", "LAB", "/etc/passwd", "/nowhere/x"], "node02: cannot put '/etc/passwd'"),
        (["get", "LAB", "/etc/passwd", "x"], "get takes one node\nhint: name one of node01, node02\n"),
        (["get", "LAB", "node01", "/nowhere", "x"], "there is no such file"),
        (["get", "LAB", "node01", "/etc", "x"], "it is a directory"),
        (["get", "LAB", "node01", "/init", "x", "--most", "lots"], "most is 'lots'"),
    ],
)
def test_what_cannot_be_copied_is_one_message(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], complaint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call_here(*(lab.spec.name if word == "LAB" else word for word in words))
    assert done.returncode == 1
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
