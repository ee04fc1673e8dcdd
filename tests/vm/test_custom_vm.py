"""Labs on images that a user brings: the appliance's kernel in a directory, and a disk with cloud-init."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from leftovers import leftovers

from fame_lab import Lab, LabSpec
from fame_lab.guest.images import appliance, debian

pytestmark = [pytest.mark.vm, pytest.mark.timeout(2400)]


@pytest.fixture
def readable() -> Iterator[Path]:
    """A directory where libvirt's QEMU may read, which may not pass pytest's own."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        yield Path(place)


def test_a_kernel_and_an_initramfs_of_the_users_boot(readable: Path) -> None:
    image = appliance.ensure()
    shutil.copyfile(image.kernel, readable / "kernel")
    shutil.copyfile(image.initrd, readable / "initrd")
    before = (readable / "initrd").read_bytes()
    name = f"own-kernel-{os.getpid()}"
    with Lab(LabSpec(name, nodes=2, fam="64M", image=readable), progress=False) as lab:
        assert {node: result.stdout.strip() for node, result in lab.run("uname -n").items()} == {
            "node01": "node01",
            "node02": "node02",
        }
        assert not lab.probe("chase", working_sets=["64K"], batches=30).failed
        lab.nodes[1].restart()
        assert lab.nodes[1].run("readlink /dev/fam").stdout.endswith("resource2\n")
    assert (readable / "initrd").read_bytes() == before
    assert leftovers(name) == []


@pytest.mark.soak  # it builds an image, and cloud-init, emulated, takes minutes
def test_a_disk_with_cloud_init_becomes_a_node(readable: Path) -> None:
    built = debian.build("debian-cloud-init", ["cloud-init"])
    disk = readable / "mine.qcow2"
    disk.symlink_to(built.disk)
    before = subprocess.run(["qemu-img", "check", "-q", str(disk)], check=False).returncode
    changed = built.disk.stat().st_mtime_ns
    name = f"own-disk-{os.getpid()}"
    with Lab(LabSpec(name, nodes=1, fam="64M", image=disk), progress=False) as lab:
        (node,) = lab.nodes
        assert node.run("uname -n; getent hosts node01").stdout.split()[::2] == ["node01", "node01"]
        output = node.run("cloud-init status --long --wait").stdout
        assert "status: done" in output
        assert "DataSourceNoCloud [seed=/dev/vdb]" in output
        assert node.run("readlink /dev/fam").stdout.endswith("resource2\n")
        assert node.run("cut -d: -f2 /etc/shadow | grep -v '^[*!]' || true").stdout == ""
    assert leftovers(name) == []
    assert (before, built.disk.stat().st_mtime_ns) == (0, changed)
