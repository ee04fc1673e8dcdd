"""The files that Binder builds its image from: their steps are run, as Binder runs them."""

import os
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from binder_container import Container, binder_container
from repository import ROOT

BINDER = ROOT / "binder"
#: Whose signature Ubuntu's archive bears; a package of this name is in Debian from 13 on.
KEYRING = Path(os.environ.get("FAME_LAB_UBUNTU_KEYRING", "/usr/share/keyrings/ubuntu-archive-keyring.gpg"))
NOTEBOOK = "notebooks/01_first_lab.ipynb"

pytestmark = pytest.mark.skipif(not BINDER.is_dir(), reason="Binder's files are in a clone only")


def packages() -> list[str]:
    """Read apt.txt as repo2docker does."""
    lines = (BINDER / "apt.txt").read_text().splitlines()
    return [name for line in lines if (name := line.partition("#")[0].strip())]


def conda(path: Path) -> dict[str, str]:
    """Return the versions that an environment.yml asks of conda, by the package's name."""
    lines = path.read_text().partition("\ndependencies:\n")[2].splitlines()
    return {
        match[1]: match[2] or ""
        for line in lines
        if (match := re.match(r"  - ([a-z0-9_-]+) ?([=>].*)?$", line))
    }


def by_pip() -> list[str]:
    """Return the packages that Binder's environment.yml asks of pip."""
    return re.findall(r"^ {6}- (\S+)$", (BINDER / "environment.yml").read_text(), re.MULTILINE)


def test_its_environment_is_the_repository_s() -> None:
    binders, ours = conda(BINDER / "environment.yml"), conda(ROOT / "environment.yml")
    assert {**binders, "python": ""} == {**ours, "python": ""}
    # Binder knows a Python by one "=", and starts from that version.
    python = re.fullmatch(r"=(\d+)\.(\d+)", binders["python"])
    least = re.fullmatch(r">=(\d+)\.(\d+)", ours["python"])
    assert python and least
    assert [*map(int, python.groups())] >= [*map(int, least.groups())]


def test_pip_brings_what_conda_has_not_and_what_builds_the_package() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert {"libvirt-python", "rocrate", "hatchling", "ziglang", "editables"} == {
        each.split(">")[0] for each in by_pip()
    }
    for each in by_pip():
        assert f'"{each}"' in text


def test_every_package_of_apt_txt_is_in_the_archive() -> None:
    assert packages()
    policy = subprocess.run(["apt-cache", "policy", *packages()], capture_output=True, text=True, check=True)
    if "Candidate" not in policy.stdout:
        pytest.skip("this host has no package lists")
    candidates = dict(re.findall(r"^(\S+):\n.*\n  Candidate: (.*)$", policy.stdout, re.MULTILINE))
    assert {name for name in packages() if candidates.get(name, "(none)") == "(none)"} == set()


def test_apt_txt_has_what_set_up_installs_for_an_ordinary_user() -> None:
    set_up = re.search(r"wanted=\((.*)\)", (ROOT / ".ci/setup").read_text())
    assert set_up
    assert set(packages()) == set(set_up[1].split()) - {"make"}


def test_post_build_is_executable() -> None:
    assert (BINDER / "postBuild").stat().st_mode & stat.S_IXUSR


def copy_of_the_repository(home: Path) -> None:
    """Copy what git has, and what is yet to be committed, into the home that Binder has it in."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for name in filter(None, listed.split("\0")):
        target = home / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    given_away(home)


def given_away(home: Path) -> None:
    subprocess.run(["chown", "--recursive", "1000:1000", str(home)], check=True)


def the_tutorial_runs(container: Container) -> None:
    """Run the notebook that Binder opens; nothing is left then."""
    output = container.run("fame-lab", "report", NOTEBOOK, "--output", "reports").stdout
    page = container.run("cat", "reports/01_first_lab.html").stdout
    assert re.search(
        r"node02 loads\s+0xFA\nnumpy on the host\s+0xfa\nnode01 loads 0x42\nnode02 loads 0x42", page
    )
    assert "emulated" in page, output
    # 64 MB hold no FAM of 256.
    assert "FAM is a file on disk" in page
    assert container.run("fame-lab", "ls").stdout.count("\n") == 1
    remains = container.run(
        "sh", "-c", "ls /dev/shm .cache/fame_lab/disks; cat /proc/[0-9]*/comm || :"
    ).stdout
    assert not re.search(r"fame_lab-\d+-first|qemu", remains), remains


@pytest.mark.vm
@pytest.mark.soak  # minutes, of which the build has most
@pytest.mark.timeout(900)
def test_an_ordinary_user_without_kvm_has_the_tutorial(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    copy_of_the_repository(home)
    # Compiled in a minute or two, and the same for all.
    for place in ("fame_lab/guest/bin", "fame_lab/traffic/bin"):
        shutil.copytree(ROOT / place, home / place)
    given_away(home)
    apart = [Path(each) for each in (sys.base_prefix, sys.prefix) if each.startswith(("/root/", "/home/"))]
    with binder_container(home, *apart) as container:
        container.run(os.path.realpath(sys.executable), "-m", "venv", "--without-pip", "env")
        # In conda's place: the packages that are here, for all of environment.yml is among them.
        site = f"env/lib/python{sysconfig.get_python_version()}/site-packages/here.pth"
        container.run("sh", "-c", f"echo {sysconfig.get_path('purelib')} >{site}")
        container.run("ln", "-s", f"{sys.prefix}/share", "env/share")  # Jupyter's own files
        container.run("binder/postBuild")
        the_tutorial_runs(container)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_ubuntu_s_own_packages_make_the_image_and_the_tutorial(tmp_path: Path) -> None:
    if not KEYRING.is_file():
        pytest.skip(f"no {KEYRING}: install ubuntu-keyring, or set FAME_LAB_UBUNTU_KEYRING")
    home, tree = tmp_path / "home", tmp_path / "ubuntu"
    home.mkdir()
    tree.mkdir()
    copy_of_the_repository(home)
    ubuntu(tree)
    try:
        with binder_container(home, root=tree) as container:
            container.run("python3", "-m", "venv", "env")
            names = [f"{name}{version}" for name, version in conda(BINDER / "environment.yml").items()]
            wanted = [name for name in (*names, *by_pip()) if not name.startswith(("python=", "pip"))]
            environment = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
            container.run(
                "env/bin/pip", "install", "--quiet", "--no-cache-dir", *wanted, environment=environment
            )
            container.run("binder/postBuild")
            the_tutorial_runs(container)
    finally:
        # Its mounts were in the container's own namespace, and are gone with that.
        assert str(tree) not in Path("/proc/self/mounts").read_text()
        shutil.rmtree(tree)


def ubuntu(tree: Path) -> None:
    """Make a tree of the release that Binder has, with apt.txt's packages, and a Python in conda's place."""
    archive = tree.with_suffix(".tar")
    wanted = [*packages(), "ca-certificates", "python3-dev", "python3-venv"]
    apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    subprocess.run(
        [
            *(*apart, "mmdebstrap", "--mode=root", "--variant=apt", "--components=main,universe"),
            *("--aptopt=APT::Install-Recommends false", f"--keyring={KEYRING}"),
            *(f"--include={','.join(wanted)}", "noble", str(archive)),
        ],
        check=True,
        capture_output=True,
    )
    # Its devices are the container's.
    subprocess.run(
        ["tar", "--extract", f"--directory={tree}", "--exclude=./dev/*", f"--file={archive}"], check=True
    )
    archive.unlink()
