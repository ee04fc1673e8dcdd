import concurrent.futures
import shutil
import threading
from pathlib import Path

import pytest

from fame_lab.core import native
from fame_lab.errors import HostError
from fame_lab.host import qemu, trace_plugin
from fame_lab.host.qemu import Qemu


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FAME_LAB_CACHE", str(tmp_path / "cache"))


def stand_in(directory: Path, version: int, *, least: int, newest: int) -> Qemu:
    """A program that takes plugins as a QEMU does which takes these versions of the interface."""
    path = directory / f"qemu-{version}"
    path.write_text(
        "#!/bin/sh\n"
        "echo x >> $0.starts\n"
        "for word; do case $word in file=*) file=${word#file=};; esac; done\n"
        "number=${file%,interface=on}; number=${number%.so}; number=${number##*-}\n"
        f"[ $number -ge {least} ] || {{ echo supports only a minimum version of {least} >&2; exit 1; }}\n"
        f"[ $number -le {newest} ] || {{ echo supports only up to version {newest} >&2; exit 1; }}\n"
        f"echo fame-trace: interface {least} to {newest}; exit 1\n"
    )
    path.chmod(0o755)
    return Qemu(path, version)


@pytest.mark.parametrize(
    ("version", "least", "newest", "expected"),
    [
        (7_002_022, 0, 1, 1),
        (8_002_002, 0, 1, 1),
        (9_000_000, 2, 2, 2),
        (10_000_002, 2, 4, 2),
        (11_000_000, 2, 6, 6),
        (11_000_000, 5, 6, 6),
        (11_001_003, 7, 7, 7),
        (11_000_091, 7, 7, 7),  # a release candidate of 11.1
        (12_000_000, 7, 9, 7),
        (9_001_000, 0, 1, 1),  # a number that says nothing
    ],
)
def test_a_qemu_is_given_a_plugin_that_it_loads(
    tmp_path: Path, version: int, least: int, newest: int, expected: int
) -> None:
    interface = trace_plugin.interface(stand_in(tmp_path, version, least=least, newest=newest))
    assert interface == expected
    assert least <= interface <= newest


def test_what_a_qemu_takes_is_asked_once(tmp_path: Path) -> None:
    of = stand_in(tmp_path, 10_000_002, least=2, newest=4)
    assert [trace_plugin.interface(of) for _ in range(3)] == [2, 2, 2]
    assert of.path.with_name(f"{of.path.name}.starts").read_text() == "x\n"


@pytest.mark.parametrize(("least", "newest"), [(8, 9), (3, 5)])
def test_a_qemu_that_takes_none_says_what_works_all_the_same(tmp_path: Path, least: int, newest: int) -> None:
    of = stand_in(tmp_path, 13_000_000, least=least, newest=newest)
    with pytest.raises(HostError) as caught:
        trace_plugin.interface(of)
    message = str(caught.value)
    assert f"QEMU 13.0.0 at {of.path} cannot count accesses" in message
    assert "versions 1, 2, 6, 7" in message
    assert "supports only" in message
    assert "Labs without trace=True run in it, and lab.record() takes samples" in message


def test_a_qemu_without_plugins_says_so_itself(tmp_path: Path) -> None:
    path = tmp_path / "qemu"
    path.write_text("#!/bin/sh\necho 'qemu-system-x86_64: -plugin: invalid option' >&2; exit 1\n")
    path.chmod(0o755)
    with pytest.raises(HostError, match=r"it says '.*-plugin: invalid option'"):
        trace_plugin.interface(Qemu(path, 10_000_002))


def test_the_hosts_qemu_loads_the_plugin_that_is_expected_of_its_version() -> None:
    program = shutil.which(qemu.PROGRAM)
    assert program is not None
    of = qemu.read(Path(program))
    expected = {7: 1, 8: 1, 9: 2, 10: 2}.get(of.version // 1_000_000) or (
        7 if of.version >= 11_001_000 else 6
    )
    assert trace_plugin.interface(of) == expected


@pytest.mark.parametrize(
    ("version", "adds"),
    [(7_002_022, True), (8_001_005, True), (8_001_091, False), (8_002_000, False), (10_000_002, False)],
)
def test_physical_addresses_are_told_by_the_version_of_qemu_and_not_of_the_interface(
    version: int, adds: bool
) -> None:
    assert trace_plugin.addresses_blocks(version) is adds


def test_nodes_that_start_at_once_are_all_given_the_plugin(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    together = threading.Barrier(8)

    def deliver(_: int) -> Path:
        together.wait()
        return trace_plugin.delivered(1)

    for attempt in range(10):
        monkeypatch.setenv("FAME_LAB_CACHE", str(tmp_path / str(attempt)))
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            places = set(pool.map(deliver, range(8)))
        assert len(places) == 1
        assert [path.name for path in places.pop().parent.iterdir()] == ["fame-trace-1.so"]


def test_each_version_of_the_interface_has_its_build() -> None:
    assert set(trace_plugin._EXPECTED.values()) == native.TRACE_PLUGINS.keys()
