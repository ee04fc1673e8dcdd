"""A folder of what a lab's nodes need elsewhere: XML, shell scripts, kernel, keys of its own, a README."""

from __future__ import annotations

import logging
import os
import shlex
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from fame_lab.core.lab_directory import LabDirectory
from fame_lab.core.version import __version__
from fame_lab.errors import HostError, SpecError
from fame_lab.guest.images import catalog
from fame_lab.guest.images.base import KernelBoot
from fame_lab.guest.images.custom import CustomDisk
from fame_lab.guest.images.debian import DiskImage
from fame_lab.guest.ssh.keys import LabKeys
from fame_lab.host.libvirt.domain_xml import domain_name
from fame_lab.host.libvirt.network import network_name
from fame_lab.lab.export import SSH_PORT, Exported, command_lines, domains, fam_path, networks
from fame_lab.spec.lab_spec import LabSpec

__all__ = ["write"]

log = logging.getLogger(__name__)


def write(spec: LabSpec, directory: Path, *, ssh_port: int = SSH_PORT) -> Path:
    """Write the folder; see :meth:`fame_lab.LabSpec.export`."""
    folder = directory.expanduser().absolute()
    _check_path(folder)
    try:
        folder.mkdir()
    except FileExistsError:
        raise SpecError(
            f"{str(directory)!r} is there", hint="give a directory that is not there yet"
        ) from None
    except OSError as error:
        raise HostError(
            f"cannot make {str(directory)!r}: {error.strerror}", hint="give another one"
        ) from error
    try:
        folder.chmod(0o755)  # whatever the umask: libvirt's QEMU may be another user
        _fill(spec, LabDirectory(folder), ssh_port)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise HostError(f"cannot write {error.filename}: {error.strerror}", hint="make room") from error
        raise
    _warn_of_closed_doors(folder.parents)
    return folder


def _fill(spec: LabSpec, directory: LabDirectory, ssh_port: int) -> None:
    folder = directory.path
    nodes = _furnished(spec, directory)
    for name, xml in (networks(spec) | domains(spec, nodes, ssh_port)).items():
        (folder / f"{name}.xml").write_text(xml + "\n")
    for node, words in command_lines(spec, nodes, ssh_port).items():
        # Relative, so that the scripts run wherever the folder is taken.
        command = shlex.join(word.replace(f"{folder}/", "") for word in words)
        _write_script(folder / f"{node}.sh", _node_script(spec, node, command))
    _write_script(folder / "all.sh", _script_of_all(spec))
    (folder / "ssh_config").write_text(_ssh_config(spec, directory, ssh_port))
    (folder / "lab.toml").write_text(spec.to_toml())
    (folder / "README").write_text(_readme(spec))


def _furnished(spec: LabSpec, directory: LabDirectory) -> dict[str, Exported]:
    """Put into the folder what the nodes boot, and fresh keys."""
    folder, image = directory.path, catalog.get(str(spec.image))
    catalog.check_memory(image, spec)
    keys = LabKeys.make(directory, spec.node_names)
    for path in image.files:  # the cache is not for ever, nor everywhere
        shutil.copyfile(path, folder / path.name)
        (folder / path.name).chmod(0o644)
    # Layers are made above the copy.
    if isinstance(image, DiskImage | CustomDisk):
        directory.disks.mkdir()
    if isinstance(image, DiskImage):
        image = replace(image, disk=folder / image.disk.name)
    elif isinstance(image, CustomDisk):
        image = replace(image, path=folder / image.path.name)
    nodes: dict[str, Exported] = {}
    for node in spec.node_names:
        identity = keys.identity(node, directory)
        directory.host_key(node).unlink()  # in the form that OpenSSH has it, which no guest reads
        own = image.personal(identity)
        personal = {name: folder / f"{node}.{name}" for name in own}
        for name, path in personal.items():
            directory.write(path, own[name])
        boot = image.boot(identity, directory, tsc_khz=None)
        if isinstance(boot, KernelBoot):
            boot = replace(boot, kernel=folder / boot.kernel.name, initrd=folder / boot.initrd.name)
        nodes[node] = (boot, personal)
    return nodes


def _write_script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def _node_script(spec: LabSpec, node: str, command: str) -> str:
    return f"""#!/bin/sh
# {node} of {spec.name}, its serial line on this terminal; Ctrl-A X ends it.
cd "$(dirname "$0")" || exit
exec {command} "$@"
"""


def _script_of_all(spec: LabSpec) -> str:
    return f"""#!/bin/sh
# All nodes of {spec.name}; Ctrl-C ends them. What they write on their serial lines is in *.console.
cd "$(dirname "$0")" || exit
trap 'kill $running 2>/dev/null; wait' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
for node in {" ".join(spec.node_names)}; do
    ./$node.sh </dev/null >$node.console 2>&1 &
    running="$running $!"
done
wait
"""


def _ssh_config(spec: LabSpec, directory: LabDirectory, ssh_port: int) -> str:
    hosts = "".join(
        f"Host {node}\n    Port {ssh_port + index}\n    HostKeyAlias {node}\n"
        for index, node in enumerate(spec.node_names)
    )
    return f"""{hosts}Host *
    HostName 127.0.0.1
    User root
    IdentityFile "{_in_ssh(directory.key)}"
    IdentitiesOnly yes
    UserKnownHostsFile "{_in_ssh(directory.known_hosts)}"
    GlobalKnownHostsFile none
    StrictHostKeyChecking yes
"""


def _in_ssh(path: Path) -> str:
    return str(path).replace("%", "%%")


def _readme(spec: LabSpec) -> str:
    fam = fam_path(spec)
    each = f"for node in {' '.join(spec.node_names)}; do"
    domain = domain_name(spec.name, "$node")
    begin, end = _network_words(spec)
    return f"""{replace(spec, fam_path=fam)}, by fame_lab {__version__}. In this folder:
- libvirt:    {begin}{each} virsh define $node.xml && virsh start {domain}; done
- QEMU alone: ./all.sh, or ./node01.sh for one node with its serial line on the terminal
- log in:     ssh -F ssh_config node01, or under libvirt: virsh console {domain_name(spec.name, "node01")}
- end:        {each} virsh destroy {domain}; virsh undefine {domain}; done; {end}rm {shlex.quote(str(fam))}

QEMU's user, which is libvirt-qemu under qemu:///system, has to be able to enter this folder and to write
FAM's file, which QEMU makes if it is not there. If the folder moves, *.xml and ssh_config need its new path.
"""


def _network_words(spec: LabSpec) -> tuple[str, str]:
    """Return what comes before the domains and after them, where they have a network."""
    if spec.addresses is None:
        return "", ""
    name = network_name(spec.name)
    return (
        f"virsh net-define network.xml && virsh net-start {name} && ",
        f"virsh net-destroy {name}; virsh net-undefine {name}; ",
    )


def _check_path(path: Path) -> None:
    text = str(path)
    if any(character in text for character in ',"') or not text.isprintable():
        raise SpecError(f"the directory is {text!r}: no comma, quote or unprintable character can be in it")


def _warn_of_closed_doors(directories: Iterable[Path]) -> None:
    if os.geteuid() != 0:
        return  # QEMU is ourselves
    for directory in directories:
        if not directory.stat().st_mode & 0o001:
            log.warning("libvirt's QEMU, which is not root, cannot enter %s: export to elsewhere", directory)
