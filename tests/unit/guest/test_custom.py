import os
import struct
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fame_lab.core.lab_directory import LabDirectory
from fame_lab.errors import SpecError
from fame_lab.guest.images import custom
from fame_lab.guest.images.base import Identity, KernelBoot
from fame_lab.guest.images.custom import CustomDisk, CustomKernel

IDENTITY = Identity("node07", "ssh-ed25519 AAAA lab", Ed25519PrivateKey.generate())


def qcow2(path: Path, *options: str) -> Path:
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *options, str(path), "64M"], check=True)
    return path


def refused(path: Path) -> str:
    with pytest.raises(SpecError) as caught:
        custom.find(path)
    assert caught.value.field == "image"
    assert str(path) in str(caught.value)
    return str(caught.value)


#: As far as it is looked at.
KERNEL = bytes(0x202) + b"HdrS"


def test_a_qcow2_file_is_a_disk(tmp_path: Path) -> None:
    disk = custom.find(qcow2(tmp_path / "x.img"))  # whatever its name
    assert isinstance(disk, CustomDisk)
    assert not disk.says_ready


def test_a_directory_with_a_kernel_and_an_initramfs_is_an_image(tmp_path: Path) -> None:
    for name in ("kernel", "initrd"):
        (tmp_path / name).write_bytes(KERNEL)
    assert isinstance(custom.find(tmp_path), CustomKernel)


@pytest.mark.parametrize("content", [b"", b"kernel", bytes(4096), b"MZ" * 4096])
def test_what_is_no_kernel_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "kernel").write_bytes(content)
    (tmp_path / "initrd").write_bytes(b"x")
    assert "its `kernel` is no Linux kernel for x86" in refused(tmp_path)


def test_a_kernel_that_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "kernel")
    assert "its `kernel` is no file" in refused(tmp_path)


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "gone.qcow2")
    assert "kernel: No such file" in refused(tmp_path)


@pytest.mark.parametrize("content", [b"", b"QFI", b"\0" * 4096, b"#!/bin/sh\n" * 100])
def test_what_is_no_qcow2_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.qcow2"
    path.write_bytes(content)
    assert "no qcow2 file" in refused(path)


def test_a_layer_above_a_file_of_the_hosts_is_refused(tmp_path: Path) -> None:
    path = qcow2(tmp_path / "x.qcow2", "-b", "/etc/shadow", "-F", "raw", "-u")
    assert "layer above another file" in refused(path)


def test_data_in_a_file_of_the_hosts_are_refused(tmp_path: Path) -> None:
    path = qcow2(tmp_path / "x.qcow2", "-o", f"data_file={tmp_path / 'data'},data_file_raw=on")
    assert "layer above another file" in refused(path)


def test_an_encrypted_disk_is_refused(tmp_path: Path) -> None:
    path = qcow2(tmp_path / "x.qcow2")
    # qemu-img itself gives up now and then: it measures the processor for a time that is too short.
    with path.open("r+b") as file:
        file.seek(32)  # crypt_method, of which 2 is LUKS
        file.write(struct.pack(">I", 2))
    assert "encrypted" in refused(path)


@given(start=st.binary(max_size=200))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_header_is_taken_or_refused(tmp_path: Path, start: bytes) -> None:
    path = tmp_path / "x.qcow2"
    path.write_bytes(b"QFI\xfb" + start)
    try:
        custom.find(path)
    except SpecError:
        return
    version, backing = struct.unpack(">IQ", start[:12])
    assert version in (2, 3)
    assert backing == 0


def test_another_file_in_its_place_is_another_image(tmp_path: Path) -> None:
    before = custom.find(qcow2(tmp_path / "x.qcow2"))
    (tmp_path / "x.qcow2").unlink()
    assert custom.find(qcow2(tmp_path / "x.qcow2")).digest != before.digest


@pytest.fixture
def directory(tmp_path: Path) -> LabDirectory:
    lab_directory = LabDirectory(tmp_path / "lab")
    lab_directory.make(None)
    return lab_directory


def test_name_and_keys_are_put_behind_a_users_initramfs(tmp_path: Path, directory: LabDirectory) -> None:
    (tmp_path / "kernel").write_bytes(KERNEL)
    (tmp_path / "initrd").write_bytes(b"initramfs")
    image = custom.find(tmp_path)
    boot = image.boot(IDENTITY, directory, tsc_khz=None)
    assert isinstance(boot, KernelBoot)
    whole = boot.initrd.read_bytes()
    assert whole.startswith(b"initramfs" + bytes(3) + b"070701")  # at a multiple of four
    assert b"root/.ssh/authorized_keys\0" in whole
    assert b"ssh-ed25519 AAAA lab\n" in whole
    assert boot.initrd.stat().st_mode & 0o007 == 0
    assert (tmp_path / "initrd").read_bytes() == b"initramfs"


def test_a_node_boots_again_from_a_users_initramfs(tmp_path: Path, directory: LabDirectory) -> None:
    for name in ("kernel", "initrd"):
        (tmp_path / name).write_bytes(KERNEL)
    image = custom.find(tmp_path)
    assert image.boot(IDENTITY, directory, tsc_khz=None) == image.boot(IDENTITY, directory, tsc_khz=None)


def test_a_users_disk_is_not_written_to(tmp_path: Path, directory: LabDirectory, cache: Path) -> None:
    path = qcow2(tmp_path / "x.qcow2")
    before = path.read_bytes()
    image = custom.find(path)
    assert isinstance(image, CustomDisk)
    boot = image.boot(IDENTITY, directory, tsc_khz=None)
    assert boot.disk != path
    assert boot.base == path
    assert boot.seed is not None
    assert boot.seed.stat().st_mode & 0o007 == 0
    assert path.read_bytes() == before


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FAME_LAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
