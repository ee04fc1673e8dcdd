"""The plain way to start nodes: QEMU itself, no libvirt, one at a time on each core, the same proofs.

The peer that ``launch.py`` measures :meth:`fame_lab.Lab.start` against: same kernel, same initrd with
keys in it, the same devices and options, the same first SSH answer, the same nonces both ways.
"""

from __future__ import annotations

import concurrent.futures
import os
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fame_lab.core.lab_directory import LabDirectory
from fame_lab.guest.images import appliance
from fame_lab.guest.images.base import PERSONAL, READY
from fame_lab.guest.ssh.connection import Connection
from fame_lab.guest.ssh.keys import LabKeys
from fame_lab.host import tsc
from fame_lab.host.fam import Fam
from fame_lab.lab.sharing_proof import prove_sharing
from fame_lab.probes.common import program_output
from fame_lab.spec.lab_spec import LabSpec

LOOK = 0.02


@dataclass
class RawNode:
    """A QEMU process and the way into it, with as much of a Node as the proof asks for."""

    name: str
    index: int
    process: subprocess.Popen[bytes]
    connection: Connection

    def probe(self, *arguments: str, timeout: float | None = None) -> list[dict[str, Any]]:
        result = self.connection.run(" ".join(["/usr/bin/fame-probe", *arguments]), timeout=timeout)
        return program_output.parse_output(result.stdout, self.name)


class RawLab:
    """The nodes of a spec, started by hand.

    Parameters
    ----------
    spec : LabSpec
    """

    def __init__(self, spec: LabSpec) -> None:
        self.spec = spec
        self.nodes: list[RawNode] = []

    def start(self) -> None:
        image = appliance.ensure()
        self.directory = LabDirectory.of(self.spec.name)
        self.directory.make(None)
        keys = LabKeys.make(self.directory, self.spec.node_names)
        fam = Fam.create(self.directory.fam, self.spec.fam_size)
        slots = threading.Semaphore(cores := len(os.sched_getaffinity(0)))

        def bring_up(index: int) -> None:
            name = self.spec.node_names[index]
            port = free_port()
            console = self.directory.console(name)
            identity = keys.identity(name, self.directory)
            own = {key: self.directory.path / f"{name}.own.{key}" for key in image.personal(identity)}
            for key, content in image.personal(identity).items():
                self.directory.write(own[key], content)
            command = qemu_command(self.spec, name, image, self.directory, fam, port, own)
            with slots:
                process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
                node = RawNode(name, index, process, Connection(name, lambda: port, keys))
                self.nodes.append(node)
                ready = READY.format(node=name).encode()
                while not console.exists() or ready not in console.read_bytes():
                    time.sleep(LOOK)
            node.connection.open(60)
            prove_sharing(fam, node)  # type: ignore[arg-type]

        with concurrent.futures.ThreadPoolExecutor(cores + 1) as pool:
            list(pool.map(bring_up, range(self.spec.nodes)))

    def stop(self) -> None:
        for node in self.nodes:
            node.connection.close()
            node.process.kill()
            node.process.wait()
        self.directory.remove()

    def pids(self) -> list[int]:
        return [node.process.pid for node in self.nodes]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def qemu_command(
    spec: LabSpec,
    name: str,
    image: appliance.Appliance,
    directory: LabDirectory,
    fam: Fam,
    port: int,
    own: dict[str, Path],
) -> list[str]:
    khz = tsc.khz()
    return [
        "qemu-system-x86_64",
        *("-name", name, "-nodefaults", "-no-user-config", "-display", "none"),
        *("-machine", "q35,usb=off", "-accel", "tcg,tb-size=32", "-cpu", "max,erms=off,fsrm=off"),
        *("-m", f"{spec.memory_size >> 20}M", "-smp", "1,maxcpus=2"),
        *("-kernel", str(image.kernel), "-initrd", str(image.initrd)),
        *("-append", image.cmdline(tsc_khz=khz)),
        *(word for key, path in own.items() for word in ("-fw_cfg", f"name={PERSONAL}/{key},file={path}")),
        *("-serial", f"file:{directory.console(name)}"),
        *("-object", f"memory-backend-file,mem-path={fam.path},size={fam.size},id=FAM,share=on"),
        *("-device", "ivshmem-plain,memdev=FAM,bus=pcie.0,addr=0x9"),
        *("-netdev", f"user,id=ssh,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22"),
        *("-device", "virtio-net-pci,netdev=ssh,bus=pcie.0,addr=0x8,romfile="),
        *("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"),
    ]


def resident(pid: int) -> int:
    """Bytes of a process's own memory, FAM and what it shares with others counted by its part."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) << 10 for line in rollup.splitlines() if line.startswith("Pss:"))
