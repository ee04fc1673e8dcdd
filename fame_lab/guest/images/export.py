"""A Debian image for elsewhere: a disk that stands alone, and what plain QEMU or virt-manager boots it by."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from fame_lab.core.paths import program_path
from fame_lab.errors import HostError, SpecError
from fame_lab.guest.images.debian import DiskImage

__all__ = ["authorized_keys", "export"]

_MEMORY_MIB = 512
_PARTITION = 1 << 20  # where its only partition begins: see debian_disk.sh
_KEY = re.compile(r"(ssh|ecdsa|sk)-[a-z0-9@.-]+ [A-Za-z0-9+/=]+( .*)?")
_SECONDS = 600


def authorized_keys(path: Path | None) -> str:
    """Read the public keys that an exported image lets in.

    Parameters
    ----------
    path : Path, optional
        By default the first of your own that exists.

    Raises
    ------
    SpecError
        If there is none, or it is not a public key.
    """
    own = [Path.home() / f".ssh/id_{kind}.pub" for kind in ("ed25519", "ecdsa", "rsa")]
    chosen = path or next((each for each in own if each.is_file()), None)
    if chosen is None:
        raise SpecError(
            "nobody could log in to the image: you have no public key in ~/.ssh",
            hint="make one with `ssh-keygen`, or name one with --authorized-key",
        )
    try:
        text = chosen.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"--authorized-key is {str(chosen)!r}, which cannot be read: {error}") from error
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines or not all(_KEY.fullmatch(line) for line in lines):
        raise SpecError(
            f"{str(chosen)!r} holds no OpenSSH public key", hint="give the file that ends in .pub"
        )
    return "\n".join(lines) + "\n"


def export(image: DiskImage, output: Path, keys: str, on_stage: Callable[[str], None]) -> list[Path]:
    """Write an image into a directory of its own.

    Parameters
    ----------
    image : DiskImage
    output : Path
        A directory that does not exist yet.
    keys : str
        Public keys that may log in as root. The image holds no other secret: it makes its host key at its
        first boot.
    on_stage : callable
        Called with a few words at each stage.

    Returns
    -------
    list of Path
        The disk (qcow2), a libvirt domain for it (XML), a script that boots it by QEMU alone, and a README.

    Raises
    ------
    SpecError
        If `output` exists.
    HostError
        If a tool is missing or fails, or there is no room.
    """
    output = output.absolute()
    try:
        output.mkdir(parents=True)
    except FileExistsError:
        raise SpecError(
            f"--output {str(output)!r} is there", hint="give a directory that is not there yet"
        ) from None
    except OSError as error:
        raise HostError(f"cannot make {output}: {error.strerror}") from error
    try:
        return _write(image, output, keys, on_stage)
    except BaseException:
        shutil.rmtree(output, ignore_errors=True)
        raise


def _write(image: DiskImage, output: Path, keys: str, on_stage: Callable[[str], None]) -> list[Path]:
    name = image.name
    disk, domain, script, readme = (output / f"{name}{end}" for end in (".qcow2", ".xml", ".sh", ".README"))
    on_stage("copying the disk")
    with tempfile.TemporaryDirectory(prefix=".export-", dir=output) as scratch:
        raw, keyfile = Path(scratch) / "disk", Path(scratch) / "keys"
        keyfile.write_text(keys)
        _run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(image.disk), str(raw))
        on_stage("letting the key in")
        _write_into(raw, keyfile, "/root/.ssh/authorized_keys")
        on_stage("compressing the disk")
        _run("qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", str(raw), str(disk))
    domain.write_text(_domain(name, disk))
    script.write_text(_SCRIPT.format(disk=shlex.quote(disk.name), memory=_MEMORY_MIB))
    script.chmod(0o755)
    readme.write_text(_README.format(name=name, disk=disk, domain=domain, kernel=image.kernel_release))
    return [disk, domain, script, readme]


def _write_into(raw: Path, content: Path, path: str) -> None:
    """Write a file, for root alone, into the disk's file system by e2fsprogs, which needs no mount."""
    parent, _, name = path.rpartition("/")
    commands = [f"cd {parent}", f"write {content} {name}"]
    commands += [f"sif {path} {field}" for field in ("mode 0100600", "uid 0", "gid 0")]
    device = f"{raw}?offset={_PARTITION}"
    _run("debugfs", "-w", "-f", "/dev/stdin", device, stdin="\n".join(commands) + "\n")
    # debugfs ends with status 0 even after an error, so the file is read back.
    if _run("debugfs", "-R", f"cat {path}", device) != content.read_text():
        raise HostError(f"debugfs could not write {path} into {raw}", hint="is the disk full?")


def _run(*command: str, stdin: str = "") -> str:
    try:
        completed = subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=_SECONDS, check=False,
            env={**os.environ, "PATH": program_path(), "LC_ALL": "C", "DEBUGFS_PAGER": "__none__"},
        )  # fmt: skip
    except FileNotFoundError as error:
        raise HostError(
            f"{command[0]} is missing: apt-get install qemu-utils e2fsprogs, or `make setup`"
        ) from error
    if completed.returncode:
        raise HostError(
            f"{shlex.join(command)} ended with status {completed.returncode}: {completed.stderr.strip()}"
        )
    return completed.stdout


def _domain(name: str, disk: Path) -> str:
    """Return a libvirt domain that boots the disk, as virt-manager would have made it."""
    domain = Element("domain", type="qemu")
    SubElement(domain, "name").text = name
    SubElement(domain, "memory", unit="MiB").text = str(_MEMORY_MIB)
    SubElement(domain, "vcpu").text = "1"
    system = SubElement(domain, "os")
    SubElement(system, "type", arch="x86_64", machine="q35").text = "hvm"
    SubElement(SubElement(domain, "features"), "acpi")
    SubElement(domain, "cpu", mode="maximum")
    devices = SubElement(domain, "devices")
    drive = SubElement(devices, "disk", type="file", device="disk")
    SubElement(drive, "driver", name="qemu", type="qcow2")
    SubElement(drive, "source", file=str(disk))
    SubElement(drive, "target", dev="vda", bus="virtio")
    SubElement(SubElement(devices, "interface", type="user"), "model", type="virtio")
    SubElement(SubElement(devices, "serial", type="pty"), "target", port="0")
    SubElement(SubElement(devices, "graphics", type="vnc", autoport="yes"), "listen", type="none")
    SubElement(SubElement(devices, "video"), "model", type="vga")
    ElementTree.indent(domain)
    return ElementTree.tostring(domain, encoding="unicode") + "\n"


_SCRIPT = """#!/bin/sh
# Boots the disk by QEMU alone; its SSH server is then at 127.0.0.1, port $PORT (by default 2222).
# FAM=FILE shares that file, 64 MiB unless FAM_SIZE says more, with every other machine that is given it.
cd "$(dirname "$0")" || exit
[ -z "$FAM" ] || set -- "$@" -device ivshmem-plain,memdev=FAM,bus=pcie.0,addr=0x9 \\
    -object "memory-backend-file,mem-path=$FAM,size=${{FAM_SIZE:-64M}},id=FAM,share=on"
[ -w /dev/kvm ] && accel=kvm || accel=tcg
exec qemu-system-x86_64 -machine q35 -accel "${{ACCEL:-$accel}}" -cpu max -smp 1,maxcpus=2 -m {memory} \\
    -drive file={disk},if=virtio,format=qcow2 \\
    -netdev "user,id=net,hostfwd=tcp:127.0.0.1:${{PORT:-2222}}-:22" -device virtio-net-pci,netdev=net \\
    -display none -serial stdio "$@"
"""

_README = """{name}: Debian with Linux {kernel}, exported by fame_lab.
A BIOS boots it from its own boot loader.

By QEMU alone:      sh {name}.sh
                    ssh -F none -p 2222 root@127.0.0.1
By virt-manager:    virsh define {domain}
or libvirt:         (the disk has to lie where libvirt's QEMU may write to it: {disk})

root logs in with the key that it was exported with; there is no password, and no other user. It makes its own
host key when it boots for the first time. Give it a virtio disk: its kernel knows no other.
/dev/fam leads to an ivshmem device, where it has one.
"""
