import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from leftovers import leftovers, qemu_processes

from fame_lab import Lab, LabSpec, Node
from fame_lab.cli import main
from fame_lab.errors import CommandError, FameError, HostError, LabError, ProbeError, SpecError, SSHError
from fame_lab.guest.c_program import compile_c
from fame_lab.host import accelerator
from fame_lab.lab import boot
from fame_lab.probes.common.barrier import run_at_barrier
from fame_lab.spec.fam_layout import CONTROL_SIZE

pytestmark = pytest.mark.vm
MIB = 1 << 20
OLD_PROGRAM = r"""
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
int main(void)
{
	char *fam = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, open("/dev/fam", O_RDWR), 0);
	if (fam == MAP_FAILED)
		return 1;
	memcpy(fam, "hello, fabric", 13);
	return 0;
}
"""


def small(name: str, **fields: object) -> Lab:
    values: dict[str, object] = {"nodes": 1, "fam": "1M"} | fields
    return Lab(LabSpec(name, **values), progress=False)  # type: ignore[arg-type]


def test_every_node_has_fam_as_bar2_at_slot_9(lab: Lab) -> None:
    for result in lab.run("lspci -v -n -s 00:09.0").values():
        assert result.stdout.startswith("00:09.0 0500: 1af4:1110 (rev 01)")
        assert "[size=64M]" in result.stdout


@pytest.fixture(scope="module")
def old_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile what thinks all of FAM its own: it opens, maps and writes at the very start."""
    return compile_c(OLD_PROGRAM, tmp_path_factory.mktemp("old") / "old")


def test_what_an_old_program_writes_at_offset_0_is_seen_by_the_other_node_and_by_numpy(
    lab: Lab, old_program: Path
) -> None:
    first, second = lab.nodes
    control = lab.fam.read(lab.fam.control.offset, CONTROL_SIZE)
    first.put(old_program, "/tmp/old", mode=0o755)  # noqa: S108 - in the guest
    first.run("/tmp/old")  # noqa: S108
    assert load(second, 0, 13) == b"hello, fabric"
    assert bytes(lab.fam.array("u1", count=13)) == b"hello, fabric"
    assert lab.fam.read(lab.fam.control.offset, CONTROL_SIZE) == control


def test_what_numpy_stores_is_seen_by_every_node(lab: Lab) -> None:
    lab.fam.array("u1", offset=4096, count=4, writable=True)[:] = list(b"host")
    assert [load(node, 4096, 4) for node in lab.nodes] == [b"host", b"host"]


def test_additions_by_two_nodes_to_one_word_lose_nothing(lab: Lab) -> None:
    count, offset = 1_000_000, 8192
    for _ in range(10):
        lab.fam.write(offset, bytes(8))
        words = ["add", "--fam", "/dev/fam", "--offset", str(offset), "--count", str(count)]
        run_at_barrier(lab, dict.fromkeys(lab.nodes, words), peer_timeout=10, timeout=120)
        assert int.from_bytes(lab.fam.read(offset, 8), "little") == 2 * count


def test_each_node_has_its_name(lab: Lab) -> None:
    assert {name: result.stdout.strip() for name, result in lab.run("uname -n").items()} == {
        "node01": "node01",
        "node02": "node02",
    }


def test_a_guest_cannot_reach_the_hosts_loopback(lab: Lab) -> None:
    port = lab.nodes[1].ssh_port
    assert lab.nodes[0].run(f"nc -w 2 10.0.2.2 {port} < /dev/null", check=False).exit_status != 0


def test_only_loopback_listens(lab: Lab) -> None:
    ports = {node.ssh_port for node in lab.nodes}
    listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    mine = [words[1] for words in listening if words[3] == "0A" and int(words[1].split(":")[1], 16) in ports]
    assert sorted(mine) == sorted(f"0100007F:{port:04X}" for port in ports)


def test_fam_and_keys_are_private(lab: Lab) -> None:
    directory = lab.fam.path.parent
    assert directory.stat().st_mode & 0o007 == 0
    modes = {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()}
    assert modes.pop("fam") == 0o600
    assert all(mode == 0o600 for mode in modes.values())


def test_the_manifest_says_what_a_number_needs(lab: Lab) -> None:
    manifest = lab.manifest()
    assert manifest["spec"]["nodes"] == 2
    assert manifest["accelerator"]["kind"] in ("kvm", "tcg")
    assert manifest["accelerator"]["reason"]
    assert set(manifest["versions"]) == {
        "fame_lab",
        "python",
        "qemu",
        "libvirt",
        "host_kernel",
        "guest_kernel",
    }
    assert len(manifest["image"]) == 64


def test_a_name_that_runs_is_refused_and_nothing_happens_to_it(lab: Lab) -> None:
    with pytest.raises(LabError, match="attach"):
        small(lab.spec.name).start()
    assert lab.run("true")["node01"].exit_status == 0


def test_two_labs_at_once_do_not_meet(lab: Lab) -> None:
    with small("beside") as other:
        other.fam.write(0, b"beside")
        store(lab.nodes[0], 0, b"shared")
        assert load(other.nodes[0], 0, 6) == b"beside"
        assert {listing.name for listing in Lab.list()} >= {"beside", lab.spec.name}
    assert leftovers("beside") == []
    assert lab.run("true")["node02"].exit_status == 0


def test_a_lab_started_by_one_process_is_attached_to_by_another() -> None:
    script = (
        "from fame_lab import Lab, LabSpec; Lab(LabSpec('kept', nodes=2, fam='1M'), progress=False).start()"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    listed = {listing.name: listing.states for listing in Lab.list()}
    assert listed["kept"] == {"node01": "running", "node02": "running"}
    with Lab.attach("kept") as lab:
        assert lab.spec == LabSpec("kept", nodes=2, fam="1M")
        assert lab.run("echo hi")["node02"].stdout == "hi\n"
        lab.fam.write(0, b"x")
        assert load(lab.nodes[1], 0, 1) == b"x"
    assert leftovers("kept") == []


def test_attaching_to_a_lab_that_is_not_there_says_which_are(lab: Lab) -> None:
    with pytest.raises(LabError, match=lab.spec.name):
        Lab.attach("nowhere")


@pytest.fixture
def existing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = Path(f"/dev/shm/fame-test-{os.getpid()}")  # noqa: S108 - where QEMU's user can reach it
    path.write_bytes(os.urandom(MIB))
    path.chmod(0o600)
    yield path
    path.unlink()


def test_an_existing_file_is_used_as_it_is_and_given_back_as_it_was(existing: Path) -> None:
    content, status = existing.read_bytes(), existing.stat()
    with small("given", fam_path=existing) as lab:
        assert load(lab.nodes[0], 0, 64) == content[:64]
        store(lab.nodes[0], 100, b"changed")
        with pytest.raises(LabError, match="given"):
            small("thief", fam_path=existing).start()
    after = existing.read_bytes()
    assert after[100:107] == b"changed"
    assert after[:100] + after[107:] == content[:100] + content[107:]
    assert (existing.stat().st_uid, existing.stat().st_mode) == (status.st_uid, status.st_mode)
    assert os.listxattr(existing) == []
    assert leftovers("given") == leftovers("thief") == []


def test_an_existing_file_of_another_size_is_refused_and_kept(existing: Path) -> None:
    with pytest.raises(SpecError, match="fam='1M'"):
        small("wrong", fam="2M", fam_path=existing).start()
    assert existing.stat().st_size == MIB
    assert leftovers("wrong") == []


@pytest.mark.soak
def test_a_file_that_the_lab_made_where_it_was_told_goes_with_it() -> None:
    path = Path(f"/dev/shm/fame-made-{os.getpid()}")  # noqa: S108
    with small("made", fam_path=path) as lab:
        assert path.stat().st_mode & 0o777 == 0o600
        assert lab.fam.created
    assert not path.exists()


def test_a_place_that_is_not_there_is_refused() -> None:
    with pytest.raises(HostError, match="No such file"):
        small("lost", fam_path="/nowhere/fam").start()
    assert leftovers("lost") == []


def test_more_fam_than_the_accelerator_can_address_is_refused_before_a_node_starts(lab: Lab) -> None:
    limit = accelerator.choose(lab.manifest()["accelerator"]["kind"]).fam_limit
    with pytest.raises(SpecError, match="largest FAM that"):
        small("vast", fam=2 * limit).start()
    assert leftovers("vast") == []


def test_a_node_that_never_boots_fails_with_its_console_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from fame_lab.guest.images.appliance import Appliance

    monkeypatch.setattr(
        Appliance, "cmdline", lambda *_args, **_words: "console=ttyS0 rdinit=/nowhere panic=0"
    )
    with pytest.raises(LabError, match=r"was not up within 6 s.*console.*Linux .* in QEMU "):
        small("stuck").start(deadline=6)
    assert "trying once more" in caplog.text
    assert leftovers("stuck") == []


def test_a_lab_runs_in_the_qemu_that_it_names_and_keeps_its_version(newer_qemu: Path) -> None:
    from fame_lab.host import qemu

    version = qemu.read(newer_qemu).version
    with small("newer", qemu="backports") as lab:
        (pid,) = qemu_processes("newer")
        assert Path(f"/proc/{pid}/exe").readlink() == newer_qemu
        assert lab.qemu_version == version
        assert lab.manifest()["versions"]["qemu"] == qemu.dotted(version)
        handle = lab.nodes[0].domain.handle
        assert handle is not None
        assert LabSpec.from_xml(handle.XMLDesc()) == lab.spec
        attached = Lab.attach("newer")
        assert attached.qemu_version == version
        attached.detach()
        lab.nodes[0].restart()
        (pid,) = qemu_processes("newer")
        assert Path(f"/proc/{pid}/exe").readlink() == newer_qemu
    assert leftovers("newer") == []


@pytest.mark.soak
def test_a_boot_that_hangs_without_a_word_names_kernel_and_qemu_and_what_to_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from fame_lab.guest.images import appliance

    image = appliance.ensure()
    monkeypatch.setattr(type(image), "cmdline", lambda *_args, **_words: "quiet rdinit=/nowhere panic=0")
    monkeypatch.setattr(boot, "_processor_seconds", lambda _domain: 50.0)
    with pytest.raises(LabError, match="console is empty") as raised:
        small("mute").start(deadline=3)
    message = str(raised.value)
    assert f"Linux {image.kernel_release}, image 'appliance', in QEMU " in message
    assert "qemu='backports'" in message
    monkeypatch.setattr(boot, "_processor_seconds", lambda _domain: 0.5)
    monkeypatch.setattr("os.getloadavg", lambda: (99.0, 99.0, 99.0))
    with pytest.raises(LabError, match=r"had 0\.5 s of processor time, for this host is busy .load 99."):
        small("mute").start(deadline=3)
    assert leftovers("mute") == []


def test_a_kernel_that_is_missing_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import dataclasses

    from fame_lab.guest.images import appliance

    real = appliance.ensure()
    monkeypatch.setattr(
        appliance, "ensure", lambda _tell=None: dataclasses.replace(real, kernel=tmp_path / "none")
    )
    with pytest.raises(HostError, match="none"):
        small("bare").start()
    assert leftovers("bare") == []


@pytest.mark.soak
def test_a_start_that_is_cancelled_leaves_nothing() -> None:
    cancelled = threading.Event()
    threading.Timer(1.5, cancelled.set).start()
    with pytest.raises(LabError, match="cancelled"):
        small("dropped", nodes=4).start(cancelled=cancelled)
    assert leftovers("dropped") == []


def test_a_start_that_fails_leaves_its_callers_event_alone(lab: Lab) -> None:
    cancelled = threading.Event()
    with pytest.raises(LabError, match="is running"):
        Lab(lab.spec, progress=False).start(cancelled=cancelled)
    assert not cancelled.is_set()


def test_a_lab_that_is_let_go_runs_on_and_can_be_taken_up_again() -> None:
    lab = small("loose").start()
    try:
        lab.detach()
        assert not lab.is_running
        assert len(qemu_processes("loose")) == 1
    finally:
        Lab.attach("loose").stop()
    assert leftovers("loose") == []


@pytest.mark.soak
def test_a_start_tells_each_stage_of_each_node() -> None:
    reports: list[tuple[str, str]] = []
    with small("telling").start(tell=lambda who, stage: reports.append((who, stage))):
        pass
    stages = [stage for who, stage in reports if who == "node01"]
    assert stages == ["creating", "booting", "connecting", "proving", "ready"]


@pytest.mark.soak
def test_a_lab_that_has_stopped_says_so_and_can_start_again() -> None:
    lab = small("again")
    with pytest.raises(LabError, match="not running"):
        lab.nodes  # noqa: B018
    with lab:
        assert len(qemu_processes("again")) == 1
    lab.stop()
    with pytest.raises(LabError, match="not running"):
        lab.run("true")
    with lab:
        lab.run("true")
    assert leftovers("again") == []


def test_a_node_restarts_into_the_same_fam() -> None:
    with small("anew", nodes=2) as lab:
        store(lab.nodes[0], 64, b"kept")
        before = lab.nodes[0].run("cat /proc/sys/kernel/random/boot_id").stdout
        lab.nodes[0].restart()
        assert load(lab.nodes[0], 64, 4) == b"kept"
        assert lab.nodes[0].run("cat /proc/sys/kernel/random/boot_id").stdout != before
        assert load(lab.nodes[1], 64, 4) == b"kept"
    assert leftovers("anew") == []


def test_a_timeout_waits_for_no_end_of_the_node(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fame_lab.lab.node._EXIT_NOTICE_SECONDS", 3600.0)
    with pytest.raises(SSHError, match="takes longer than its 1 s"):
        lab.nodes[0].run("sleep 3000", timeout=1)


@pytest.mark.soak
def test_a_node_of_a_lab_that_has_ended_says_so() -> None:
    with small("ended") as lab:
        (node,) = lab.nodes
    with pytest.raises(SSHError, match="node01: its lab, ended, has ended"):
        node.run("true")


def test_more_memory_than_the_host_has_is_refused_before_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(total=(1 << 30) + 5))
    with pytest.raises(HostError, match="memory is 2G for each node, and this host has 1G: give less"):
        small("huge", memory="2G").start()
    assert leftovers("huge") == []


@pytest.fixture
def bereft() -> Iterator[Lab]:
    """A lab of two nodes of which the second has died."""
    with small("bereft", nodes=2) as lab:
        lab.run("true")
        for pid in qemu_processes("bereft"):
            if b"fame-bereft-node02" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
        while lab.nodes[1].state != "gone":
            time.sleep(0.05)
        yield lab
    assert leftovers("bereft") == []


def test_a_node_that_has_died_is_named_with_what_to_do_and_can_be_brought_back(
    bereft: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    complaint = r"node02.*its QEMU has ended.*restart\(\).*fame-lab down bereft"
    with pytest.raises(FameError, match=complaint):
        bereft.run("true")
    attached = Lab.attach("bereft")
    assert [node.state for node in attached.nodes] == ["running", "gone"]
    with pytest.raises(FameError, match=complaint):
        attached.run("true")
    with pytest.raises(ProbeError, match=complaint):
        attached.probe("pingpong")
    assert main.main(["run", "bereft", "--", "uname", "-n"]) == 255
    output = capsys.readouterr()
    assert output.out == "node01: node01\n"
    assert "node02 is gone" in output.err
    attached.nodes[1].restart()
    assert attached.run("uname -n")["node02"].stdout == "node02\n"


def test_a_node_that_dies_during_a_command_is_an_error_that_says_so(lab: Lab) -> None:
    with small("dying") as dying:
        dying.run("true")
        (pid,) = qemu_processes("dying")
        threading.Timer(0.5, os.kill, (pid, signal.SIGKILL)).start()
        with pytest.raises(SSHError, match=r"node01 went away during 'sleep 60'.*its QEMU has ended"):
            dying.run("sleep 60")


def test_a_command_that_fails_on_one_node_is_an_error_that_names_it(lab: Lab) -> None:
    with pytest.raises(CommandError, match=r"node02.*status 3"):
        lab.run('[ "$(uname -n)" = node01 ] || exit 3')
    results = lab.run('[ "$(uname -n)" = node01 ] || exit 3', check=False)
    assert [result.exit_status for result in results.values()] == [0, 3]


def store(node: Node, offset: int, content: bytes) -> None:
    node.probe("store", "--fam", "/dev/fam", "--offset", str(offset), content.decode())


def load(node: Node, offset: int, size: int) -> bytes:
    (line,) = node.probe("load", "--fam", "/dev/fam", "--offset", str(offset), "--size", str(size))
    return bytes(line["bytes"])
