import platform
from pathlib import Path

import pytest

from fame_lab.errors import ImageError
from fame_lab.guest.images import apt_packages

#: An apt-get that knows two kernel packages and a program, and downloads empty files.
APT = """#!/bin/sh
case "$*" in
    *' update') echo "Err: mirror unreachable" >&2; touch "$STATE_FILE"; exit 100 ;;
esac
{condition}
case "$*" in
    *simulate*linux-image*)
        echo "NOTE: This is only a simulation!"
        echo "Inst initramfs-tools (0.142 Debian:12 [all])"
        echo "Inst linux-image-6.1.0-9-cloud-amd64 (6.1.27-1 Debian:12 [amd64])"
        echo "Inst linux-image-cloud-amd64 (6.1.27-1 Debian:12 [amd64])" ;;
    *simulate*)
        echo "Inst pciutils (1:3.9.0-4 Debian:12 [amd64])"
        echo "Conf pciutils (1:3.9.0-4 Debian:12 [amd64])" ;;
    *' download '*)
        : > pciutils_1%3a3.9.0-4_amd64.deb
        : > linux-image-6.1.0-9-cloud-amd64_6.1.27-1_amd64.deb ;;
esac
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that is all of PATH but for the shell's own needs."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")
    monkeypatch.setenv("STATE_FILE", str(tmp_path / "updated"))
    monkeypatch.setattr(apt_packages, "distribution", lambda: "debian")
    return directory


def install_apt(programs: Path, condition: str = "") -> None:
    script = programs / "apt-get"
    script.write_text(APT.replace("{condition}", condition))
    script.chmod(0o755)


def fetch(tmp_path: Path) -> list[apt_packages.Package]:
    return apt_packages.fetch(tmp_path / "debs", tmp_path / "apt", lambda _: None)


def test_the_versioned_kernel_and_the_programs_are_fetched(programs: Path, tmp_path: Path) -> None:
    install_apt(programs)
    packages = fetch(tmp_path)
    assert [(each.name, each.version) for each in packages] == [
        ("linux-image-6.1.0-9-cloud-amd64", "6.1.27-1"),
        ("pciutils", "1:3.9.0-4"),
    ]
    assert all(each.sha256 == apt_packages.sha256(tmp_path / "debs" / each.file) for each in packages)


def test_drivers_that_have_a_package_of_their_own_are_fetched(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apt_packages, "distribution", lambda: "ubuntu")
    script = """case "$*" in
        *' download '*) : > linux-modules-extra-6.1.0-9-cloud-amd64_6.1.27-1_amd64.deb ;;
        *simulate*extra-6.1.0-9-cloud-amd64)
            echo "Inst linux-modules-extra-6.1.0-9-cloud-amd64 (6.1.27-1 Ubuntu:24.04 [amd64])"
            echo "Inst wireless-regdb (2024.01.23-0ubuntu1 Ubuntu:24.04 [all])"
            exit ;;
    esac"""
    install_apt(programs, script)
    assert [each.name for each in fetch(tmp_path)] == [
        "linux-image-6.1.0-9-cloud-amd64",
        "linux-modules-extra-6.1.0-9-cloud-amd64",
        "pciutils",
    ]


def test_a_kernel_whose_drivers_are_all_in_one_package_will_do(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apt_packages, "distribution", lambda: "ubuntu")
    install_apt(programs, 'case "$*" in *extra*) echo "E: no such package" >&2; exit 100 ;; esac')
    assert len(fetch(tmp_path)) == 2


def test_lists_of_our_own_are_fetched_when_the_systems_do_not_do(programs: Path, tmp_path: Path) -> None:
    install_apt(programs, 'case "$*" in *Dir::State=*) ;; *) echo "E: no such package" >&2; exit 100 ;; esac')
    assert fetch(tmp_path)
    assert (tmp_path / "updated").exists()


def test_what_apt_said_is_told(programs: Path, tmp_path: Path) -> None:
    install_apt(programs, 'echo "E: Unable to locate package" >&2; exit 100')
    with pytest.raises(ImageError) as caught:
        fetch(tmp_path)
    message = str(caught.value)
    assert "find the packages linux-image-cloud-amd64: E: Unable to locate package" in message
    assert "Err: mirror unreachable" in message
    assert "try again" in message


def test_a_download_that_leaves_no_file_is_told(programs: Path, tmp_path: Path) -> None:
    install_apt(programs, 'case " $* " in *" download "*) exit 0 ;; esac')
    with pytest.raises(ImageError, match=r"left no file of linux-image-6\.1"):
        fetch(tmp_path)


def test_a_host_without_apt_is_told_where_to_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Path
) -> None:
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(ImageError, match=r"apt-get, a part of Debian.*FAME_LAB_CACHE"):
        fetch(tmp_path)


def test_a_package_that_does_not_unpack_is_named(programs: Path, tmp_path: Path) -> None:
    (programs / "dpkg-deb").write_text("#!/bin/sh\necho 'No space left on device' >&2\nexit 2\n")
    (programs / "dpkg-deb").chmod(0o755)
    with pytest.raises(ImageError, match=r"unpack a\.deb into .*No space left on device(.|\n)*make room"):
        apt_packages.unpack(tmp_path / "a.deb", tmp_path)


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ({"ID": "debian"}, "debian"),
        ({"ID": "ubuntu", "ID_LIKE": "debian"}, "ubuntu"),
        ({"ID": "linuxmint", "ID_LIKE": "ubuntu debian"}, "ubuntu"),
    ],
)
def test_a_distribution_is_taken_for_what_it_is_like(
    release: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: release)
    assert apt_packages.distribution() == expected


def test_another_distribution_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    release = {"ID": "fedora", "PRETTY_NAME": "Fedora Linux 40"}
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: release)
    with pytest.raises(ImageError, match="Fedora Linux 40"):
        apt_packages.distribution()
