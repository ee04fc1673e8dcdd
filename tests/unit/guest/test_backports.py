import platform
from pathlib import Path

import pytest

from fame_lab.errors import HostError
from fame_lab.guest.images import apt_packages, backports

TARGETS = "{uri}\tbookworm\t{codename}\t{component}\t{entry}"

#: An apt-get that has one mirror, and the two packages that it is asked for.
APT = """#!/bin/sh
case "$*" in
    *indextargets*) printf '%s\\n' "$TARGETS" ;;
    *' update') cp "$(echo "$*" | tr ' ' '\\n' | sed -n 's/^Dir::Etc::sourcelist=//p')" "$SOURCES"
        echo "Err: no such suite" >&2; exit $UPDATE ;;
    *simulate*)
        echo "Inst libfdt1 (1.6.1 Debian:12 [amd64])"
        echo "Inst seabios (1.16.3-2~bpo12+1 Debian Backports:oldstable-backports [all])"
        echo "Inst qemu-system-x86 (1:10.0.2+ds-2~bpo12+1 Debian Backports:oldstable-backports [amd64])"
        exit $UPDATE ;;
    *' download '*)
        : > seabios_1.16.3-2~bpo12+1_all.deb
        : > qemu-system-x86_1%3a10.0.2+ds-2~bpo12+1_amd64.deb ;;
esac
"""
STANZAS = """# of the installer
Types: deb
URIs: http://deb.debian.org/debian
Suites: bookworm
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg


Types: deb
URIs: http://mirror.uni.example/debian
Suites: bookworm
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBGPL0BUBEADmW5NdOOHwPIJlgPu6JDcKw/NZJPR8lsD3K87ZM18gzyQZJD+w
 -----END PGP PUBLIC KEY BLOCK-----
"""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Debian 12 with an apt-get of its own; its sources are files below."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "apt-get").write_text(APT)
    (programs / "apt-get").chmod(0o755)
    (tmp_path / "debian.sources").write_text(STANZAS)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("SOURCES", str(tmp_path / "ours"))
    monkeypatch.setenv("UPDATE", "0")
    set_mirror(monkeypatch, tmp_path)
    release(monkeypatch, ID="debian", VERSION_CODENAME="bookworm")
    return tmp_path


def release(monkeypatch: pytest.MonkeyPatch, **fields: str) -> None:
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: fields)


def set_mirror(monkeypatch: pytest.MonkeyPatch, host: Path, **fields: str) -> None:
    fields = {
        "uri": "http://deb.debian.org/debian/",
        "codename": "bookworm",
        "component": "main",
        "entry": f"{host}/debian.sources:1",
    } | fields
    monkeypatch.setenv("TARGETS", TARGETS.format(**fields))


def fetch(host: Path) -> list[apt_packages.Package]:
    return backports.fetch(("qemu-system-x86", "seabios"), host / "debs", host / "apt", lambda _: None)


def ours(host: Path) -> str:
    fetch(host)
    return (host / "ours").read_text()


def test_what_is_asked_for_is_fetched_and_nothing_that_it_depends_on(host: Path) -> None:
    assert [(each.name, each.version) for each in fetch(host)] == [
        ("qemu-system-x86", "1:10.0.2+ds-2~bpo12+1"),
        ("seabios", "1.16.3-2~bpo12+1"),
    ]


def test_the_hosts_mirror_and_keyring_are_used(host: Path) -> None:
    assert ours(host).splitlines() == [
        "Types: deb",
        "URIs: http://deb.debian.org/debian/",
        "Suites: bookworm bookworm-backports",
        "Components: main",
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg",
    ]


def test_a_key_within_the_hosts_sources_is_used(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_mirror(monkeypatch, host, uri="http://mirror.uni.example/debian", entry=f"{host}/debian.sources:2")
    text = ours(host)
    assert "URIs: http://mirror.uni.example/debian\n" in text
    assert text.endswith(STANZAS[STANZAS.rindex("Signed-By:") :])


@pytest.mark.parametrize(
    ("line", "signed_by"),
    [
        ("deb http://deb.debian.org/debian bookworm main", ""),
        ("deb [arch=amd64 signed-by=/etc/k.gpg] http://m/debian bookworm main", "Signed-By: /etc/k.gpg\n"),
        ("deb [signed-by=/a.gpg,/b.gpg] http://m/debian bookworm main", "Signed-By: /a.gpg /b.gpg\n"),
    ],
)
def test_sources_of_one_line_are_read(
    host: Path, monkeypatch: pytest.MonkeyPatch, line: str, signed_by: str
) -> None:
    (host / "sources.list").write_text(f"# the host's\n{line}\n")
    set_mirror(monkeypatch, host, entry=f"{host}/sources.list:2")
    assert ours(host).endswith(f"Components: main\n{signed_by}")


def test_anothers_repository_with_debians_words_is_no_mirror(
    host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_mirror(monkeypatch, host, uri="https://apt.releases.example/")
    assert "URIs: http://deb.debian.org/debian\n" in ours(host)


def test_what_apt_cannot_do_is_told_in_its_words(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPDATE", "100")
    with pytest.raises(HostError, match=r"(?s)find the packages.*no such suite.*reaches its Debian mirror"):
        fetch(host)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"ID": "ubuntu", "PRETTY_NAME": "Ubuntu 24.04", "VERSION_CODENAME": "noble"}, "'Ubuntu 24.04'"),
        ({"ID": "debian", "PRETTY_NAME": "Debian sid"}, "'Debian sid'"),
    ],
)
def test_a_host_without_backports_is_told_what_else_works(
    host: Path, monkeypatch: pytest.MonkeyPatch, fields: dict[str, str], named: str
) -> None:
    release(monkeypatch, **fields)
    with pytest.raises(HostError, match=f"{named}.*give its path"):
        backports.suite()


def test_a_missing_package_is_named(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    query = host / "bin/dpkg-query"
    query.write_text(
        "#!/bin/sh\necho 'installed libc6 libc6-compat (= 2), libcrypt1'\n"
        "echo 'deinstall libfdt1 '\necho 'installed libpng16-16t64 libpng16-16'\n"
    )
    query.chmod(0o755)
    names = ["libc6", "libcrypt1", "libfdt1", "libpng16-16", "libslirp0"]
    assert backports.not_installed(names) == ["libfdt1", "libslirp0"]
    query.write_text("#!/bin/sh\nexit 1\n")
    assert backports.not_installed(names) == []  # it cannot tell


def test_what_a_package_depends_on_is_read(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deb = host / "bin/dpkg-deb"
    deb.write_text(
        "#!/bin/sh\necho 'Pre-Depends: init-system-helpers (>= 1.54~)'\n"
        "echo 'Depends: libaio1 (>= 0.3), libc6:any, seabios (>= 1.10) | qemu, zlib1g'\n"
    )
    deb.chmod(0o755)
    assert backports.depends(host / "q.deb") == [
        "init-system-helpers",
        "libaio1",
        "libc6",
        "seabios",
        "zlib1g",
    ]
