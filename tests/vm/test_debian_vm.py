"""A lab on Debian disks, two nodes that the tests share; the image is built first, unless it is there."""

import dataclasses
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from leftovers import leftovers

from fame_lab import Lab, LabSpec
from fame_lab.cli.main import main
from fame_lab.core.cache import cache_directory
from fame_lab.errors import LabError
from fame_lab.guest.images import catalog, debian_build
from fame_lab.guest.images import debian as disk_image
from fame_lab.host.libvirt.connection import connect

pytestmark = [pytest.mark.vm, pytest.mark.timeout(2400)]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    name = f"debian-{os.getpid()}"
    with Lab(LabSpec(name, nodes=2, fam="64M", image="debian", trace=True), progress=False) as debian_lab:
        yield debian_lab
    assert leftovers(name) == []


def test_a_node_is_a_debian_that_its_own_boot_loader_booted(lab: Lab) -> None:
    image = disk_image.ensure("debian")
    first = lab.nodes[0]
    assert first.run("uname -r").stdout.strip() == image.kernel_release
    assert "VERSION_CODENAME=bookworm" in first.run("cat /etc/os-release").stdout
    assert first.run("cat /proc/cmdline").stdout.startswith("BOOT_IMAGE=/vmlinuz ")
    assert first.run("ps -o comm= -p 1").stdout.strip() == "systemd"
    assert first.run("systemctl --failed --no-legend").stdout == ""


def test_each_node_has_its_name_its_hosts_file_and_its_own_keys(lab: Lab) -> None:
    results = lab.run("uname -n; getent hosts $(uname -n); cat /etc/machine-id; ssh-keyscan -t ed25519 ::1")
    for name, result in results.items():
        words = result.stdout.split()
        assert words[:3] == [name, "127.0.1.1", name]
    one, two = (result.stdout.split() for result in results.values())
    assert one[3] != two[3]  # machine-id
    assert one[-1] != two[-1]  # host key


def test_nobody_gets_in_by_a_password_and_no_secret_may_be_read(lab: Lab) -> None:
    first = lab.nodes[0]
    assert "passwordauthentication no" in first.run("/usr/sbin/sshd -T").stdout
    assert first.run("cut -d: -f2 /etc/shadow | grep -v '^[*!]' || true").stdout == ""
    own = "/etc/ssh/ssh_host_ed25519_key /root/.ssh/authorized_keys"
    assert first.run(f"stat -c %a {own}").stdout.split() == ["600", "600"]
    assert "host_key" not in first.run("cat /proc/cmdline").stdout
    # Root alone can read them where QEMU gives them.
    output = first.run("find /sys/firmware/qemu_fw_cfg/by_name/opt/ -name raw -perm /077").stdout
    assert output == ""


def test_fam_is_where_it_was_at_home(lab: Lab) -> None:
    first = lab.nodes[0]
    assert first.run("readlink /dev/fam").stdout.strip().endswith("0000:00:09.0/resource2")
    assert "1af4:1110" in first.run("lspci -n -s 00:09.0").stdout


def test_a_probe_measures_on_debian(lab: Lab) -> None:
    result = lab.probe("chase", working_sets=["64K"], batches=30)
    assert not result.failed


def test_accesses_are_counted_on_debian(lab: Lab) -> None:
    with lab.record() as traffic:
        words = ["--fam", "/dev/fam", "--offset", "0", "--count", "1000"]
        lab.nodes[1].probe("add", *words)
    matrix = traffic.matrix("accesses")
    assert [float(matrix.sel(op=op, initiator="node02", home="node01")) for op in ("load", "store")] == [
        1000,
        1000,
    ]
    assert float(matrix.sel(initiator="node01").sum()) == 0


def test_nodes_write_to_layers_of_their_own(lab: Lab) -> None:
    image = disk_image.ensure("debian")
    before = image.disk.stat()
    lab.run("uname -n >/srv/who; sync")
    assert {name: result.stdout.strip() for name, result in lab.run("cat /srv/who").items()} == {
        "node01": "node01",
        "node02": "node02",
    }
    assert image.disk.stat().st_mtime_ns == before.st_mtime_ns


def test_more_commands_at_a_time_than_its_server_takes_on_a_connection_run_once_each(lab: Lab) -> None:
    with ThreadPoolExecutor(16) as pool:
        words = [f"echo {i} | tee -a /tmp/ran; sleep 1" for i in range(16)]
        outputs = [ran.stdout for ran in pool.map(lab.nodes[0].run, words)]
    assert outputs == [f"{i}\n" for i in range(16)]
    ran = lab.nodes[0].run("cat /tmp/ran; rm /tmp/ran").stdout.split()
    assert sorted(map(int, ran)) == list(range(16))


def test_long_commands_and_files_go_to_bash_as_to_busybox(lab: Lab, tmp_path: Path) -> None:
    node = lab.nodes[0]
    for length in (9_100, 150_000):
        result = node.run(
            f"printf %s '{'x' * length}' | wc -c; cat; kill -9 $$", check=False, stdin=b"mine\n"
        )
        assert (result.stdout, result.exit_status) == (f"{length}\nmine\n", 137)
    (tmp_path / "a b").write_bytes(bytes(range(256)) * 100)
    assert str(node.put(tmp_path / "a b", "/root")) == "/root/a b"
    assert node.get("/root/a b", tmp_path / "back").read_bytes() == (tmp_path / "a b").read_bytes()
    assert node.run("ls -A /root | grep fame-put; rm '/root/a b'", check=False).stdout == ""


def test_a_guests_disk_cannot_take_the_room_of_fam(lab: Lab) -> None:
    (layers,) = (cache_directory() / "disks").glob(f"*-{lab.spec.name}")
    assert sorted(path.name for path in layers.iterdir()) == ["node01.qcow2", "node02.qcow2"]
    assert not layers.is_relative_to("/dev/shm")  # noqa: S108


def test_an_image_that_a_lab_runs_on_is_listed_so_and_not_removed(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["image", "ls", "--json"]) == 0
    listed = {each["digest"]: each for each in json.loads(capsys.readouterr().out)}
    digest = disk_image.ensure("debian").digest
    assert listed[digest]["in_use"] is True
    assert main(["image", "rm", "debian"]) == 1
    assert "a lab runs on debian" in capsys.readouterr().err
    with pytest.raises(LabError):
        catalog.remove(digest, [digest])


@pytest.mark.soak  # the time of another boot, or build
def test_a_node_that_starts_again_has_its_disk_and_its_fam(lab: Lab) -> None:
    first = lab.nodes[0]
    lab.fam.array("u1", writable=True)[0] = 0xFA
    first.run("echo kept >/srv/kept; sync")
    first.restart()
    assert first.run("cat /srv/kept").stdout == "kept\n"
    assert lab.fam.array("u1")[0] == 0xFA


def test_an_attached_lab_knows_its_image(lab: Lab) -> None:
    attached = Lab.attach(lab.spec.name)
    try:
        assert attached.manifest()["image"] == disk_image.ensure("debian").digest
    finally:
        attached.detach()


@pytest.mark.soak  # the time of another boot, or build
def test_a_build_that_is_called_off_leaves_neither_files_nor_mounts(tmp_path: Path) -> None:
    class CalledOffError(Exception):
        pass

    def tell(words: str) -> None:
        if words.startswith("running special hook: sync-in"):  # /proc, /sys and /dev/shm are mounted by then
            raise CalledOffError

    def there() -> set[Path]:
        temporary = Path(tempfile.gettempdir())
        return {*temporary.glob("fame_lab-image-*"), *temporary.glob("mmdebstrap*")}

    before, file = there(), Path(f"/dev/shm/kept-{os.getpid()}")  # noqa: S108
    file.write_text("kept")
    try:
        with pytest.raises(CalledOffError):
            debian_build.build(tmp_path / "scratch", (), tell)
        assert file.read_text() == "kept"
    finally:
        file.unlink()
    assert there() == before
    assert "mmdebstrap" not in Path("/proc/self/mountinfo").read_text()


@pytest.mark.soak  # a third Debian boots, beside the two
def test_an_exported_image_boots_elsewhere_and_lets_its_owner_in() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        key = Path(scratch) / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        output = Path(scratch) / "out"
        words = ["image", "export", "--output", str(output), "--authorized-key", f"{key}.pub"]
        assert main(words) == 0
        info = ["qemu-img", "info", "--output=json", str(output / "debian.qcow2")]
        fields = json.loads(subprocess.run(info, capture_output=True, check=True).stdout)
        assert "backing-filename" not in fields
        assert fields["actual-size"] < 600 << 20
        described = connect().domainXMLToNative("qemu-argv", (output / "debian.xml").read_text())
        assert str(output / "debian.qcow2") in described
        console = Path(scratch) / "console"
        with console.open("wb") as log:
            # A session of its own: whatever the script becomes is ended with it.
            machine = subprocess.Popen(
                ["sh", str(output / "debian.sh")], stdout=log, stdin=subprocess.DEVNULL,
                env=os.environ | {"PORT": "0", "ACCEL": "tcg", "FAM": f"{scratch}/fam"},
            )  # fmt: skip
        try:
            while b"fame: debian ready" not in console.read_bytes():
                assert machine.poll() is None, console.read_bytes()
                time.sleep(0.1)
            assert _login(machine.pid, key) == "debian /sys/bus/pci/devices/0000:00:09.0/resource2"
        finally:
            machine.kill()
            machine.wait()


def _login(pid: int, key: Path) -> str:
    import psutil

    (port,) = {each.laddr.port for each in psutil.Process(pid).net_connections() if each.status == "LISTEN"}
    options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes", "LogLevel=ERROR"]
    words = ["ssh", "-F", "none", "-i", str(key), *(word for option in options for word in ("-o", option))]
    command = [*words, "-p", str(port), "root@127.0.0.1", "echo $(uname -n) $(readlink /dev/fam)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.soak  # the time of another boot, or build
def test_an_exported_node_boots_by_qemu_alone_and_lets_its_owner_in(tmp_path: Path) -> None:
    spec = LabSpec(f"debian-x{os.getpid()}", nodes=1, fam="64M", image="debian", accel="tcg")
    spec = dataclasses.replace(spec, fam_path=tmp_path / "fam")
    folder = spec.export(tmp_path / "exported")
    assert "disks/node01.qcow2" in (folder / "node01.sh").read_text()
    with (tmp_path / "said").open("wb") as console:
        node = subprocess.Popen([folder / "node01.sh"], stdin=subprocess.PIPE, stdout=console, stderr=console)
    try:
        end = time.monotonic() + disk_image.DiskImage.deadline
        while b"fame: node01 ready" not in (tmp_path / "said").read_bytes():
            assert node.poll() is None, (tmp_path / "said").read_text(errors="replace")
            assert time.monotonic() < end
            time.sleep(0.2)
        ssh = ["ssh", "-F", str(folder / "ssh_config"), "node01", "uname -n; readlink /dev/fam"]
        output = subprocess.run(ssh, capture_output=True, text=True, timeout=120, check=True).stdout
        assert output.split()[0] == "node01"
        assert output.split()[1].endswith("0000:00:09.0/resource2")
    finally:
        node.kill()
        node.wait()
