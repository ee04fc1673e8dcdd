import json
import subprocess
from pathlib import Path

from fame_lab.experiments.report.provenance import describe


def test_a_clone_s_commit_is_told_and_whether_it_was_changed(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        identity = ["-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "commit.gpgsign=false"]
        command = ["git", "-C", str(tmp_path), *identity, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    source = tmp_path / "n.ipynb"
    assert describe(source, "ab", {}, ["x"]).commit["notebook"] is None
    git("init", "--quiet")
    source.write_text("{}")
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    git("tag", "v1")
    head = git("rev-parse", "HEAD")
    assert describe(source, "ab", {}, ["x"]).commit["notebook"] == head
    source.write_text("[]")
    assert describe(source, "ab", {}, ["x"]).commit["notebook"] == f"{head}-dirty"


def test_a_commit_that_is_known_takes_the_place_of_the_clone_s(tmp_path: Path) -> None:
    assert describe(tmp_path / "n.ipynb", "ab", {}, ["x"], "0123456").commit["notebook"] == "0123456"


def test_it_names_versions_packages_and_host(tmp_path: Path) -> None:
    manifest = describe(tmp_path / "n.ipynb", "ab", {}, ["fame-lab", "report", "a b"])
    assert manifest.commands[0] == "fame-lab report 'a b'"
    assert manifest.versions.keys() == {"fame_lab", "python", "host_kernel"}
    assert manifest.packages["numpy"] and manifest.host["cpu"]
    assert json.loads(json.dumps(manifest.to_dict())) == manifest.to_dict()
