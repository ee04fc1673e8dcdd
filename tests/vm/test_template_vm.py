"""Nodes that are restored from a template: each is a node of its own, and nothing of the making is left."""

import concurrent.futures
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from leftovers import leftovers, processor_seconds, qemu_processes

from fame_lab import Lab, LabSpec
from fame_lab.core.lab_directory import LabDirectory
from fame_lab.guest.images.appliance import Appliance
from fame_lab.host.libvirt import migration
from fame_lab.host.libvirt.domain import Domain
from fame_lab.lab import boot, template
from fame_lab.lab.inventory import LabStatus
from fame_lab.lab.provision import provisioned

NODES = 8


def restored(name: str, **fields: object) -> LabSpec:
    """Describe a lab that is restored, whatever the host's accelerator."""
    usual = {"nodes": 2, "fam": "1M", "start": "template"}
    return LabSpec(name, **(usual | fields))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def eight(qemu: str) -> Iterator[Lab]:
    name = f"eight-{os.getpid()}"
    with Lab(restored(name, nodes=NODES, fam="64M", qemu=qemu), progress=False) as lab:
        yield lab
    assert leftovers(name) == []


def outputs(lab: Lab, command: str) -> list[str]:
    return [result.stdout.strip() for result in lab.run(command).values()]


def kinds(lab: Lab) -> set[str]:
    return {start["kind"] for start in lab.manifest()["start"].values()}


@pytest.mark.newer_qemu
@pytest.mark.vm
def test_every_node_is_restored_and_the_manifest_says_so(eight: Lab) -> None:
    assert kinds(eight) == {"template"}
    assert len(eight.manifest()["start"]) == NODES


@pytest.mark.vm
def test_each_node_has_its_name(eight: Lab) -> None:
    assert outputs(eight, "uname -n") == list(eight.spec.node_names)


@pytest.mark.vm
def test_each_node_shows_a_host_key_of_its_own(eight: Lab) -> None:
    own = "sha256sum </sys/firmware/qemu_fw_cfg/by_name/opt/fame_lab/host_key/raw"
    assert len(set(outputs(eight, own))) == NODES
    # A connection is refused unless the node shows the key that its line of known_hosts has.
    assert (
        len(
            {
                line.split()[2]
                for line in LabDirectory.of(eight.spec.name).known_hosts.read_text().splitlines()
            }
        )
        == NODES
    )


@pytest.mark.vm
def test_no_two_nodes_draw_the_same_random_numbers(eight: Lab) -> None:
    assert len(set(outputs(eight, "head -c 32 /dev/urandom | sha256sum"))) == NODES
    assert len(set(outputs(eight, "cat /proc/sys/kernel/random/boot_id"))) == NODES


@pytest.mark.vm
def test_no_two_nodes_lay_a_program_out_alike(eight: Lab) -> None:
    assert len(set(outputs(eight, "grep stack /proc/self/maps"))) == NODES
    # Nor the SSH server, which draws numbers of its own from where it begins.
    assert (
        len(set(outputs(eight, "grep stack /proc/$(pidof dropbear | tr ' ' '\\n' | tail -n 1)/maps")))
        == NODES
    )


@pytest.mark.vm
def test_clocks_are_right_and_go_on_with_the_hosts(eight: Lab) -> None:
    for node in eight.nodes:
        before = time.time()
        seconds = float(node.run("date +%s").stdout)
        # It was set to the middle of the second that its machine's clock told, as Linux sets it at boot. That
        # clock's seconds begin up to 1 s late, for QEMU counts them from its own start; it was read up to 1 s
        # into one of them; and `date` cuts the fraction off.
        assert before - (1 + 1 - 0.5) - 1 < seconds < time.time() + 0.5 + 0.1
        start = float(node.run("cut -d ' ' -f 1 /proc/uptime").stdout)
        time.sleep(0.2)
        assert float(node.run("cut -d ' ' -f 1 /proc/uptime").stdout) >= start + 0.2
        # As a cold node's: a jump of its time while it was restored would have its kernel leave it.
        clock = node.run("cat /sys/devices/system/clocksource/clocksource0/current_clocksource").stdout
        assert clock == ("kvm-clock\n" if eight.manifest()["accelerator"]["kind"] == "kvm" else "tsc\n")


@pytest.mark.vm
def test_fam_is_where_a_cold_node_has_it(eight: Lab) -> None:
    for line in outputs(eight, "lspci -v -d 1af4:1110"):
        assert line.startswith("00:09.0")
        assert "(64-bit, prefetchable) [size=64M]" in line


@pytest.mark.vm
def test_a_fam_that_takes_a_window_of_its_own_is_found_too(qemu: str) -> None:
    with Lab(restored("vast", fam="32G", qemu=qemu), progress=False) as lab:
        assert kinds(lab) == {"template"}
        for line in outputs(lab, "lspci -v -d 1af4:1110"):
            assert "(64-bit, prefetchable) [size=32G]" in line
    assert leftovers("vast") == []


@pytest.mark.vm
def test_what_one_restored_node_stores_every_other_loads(eight: Lab) -> None:
    bar = "$(awk 'NR == 3 {print $1}' /sys/bus/pci/devices/0000:00:09.0/resource)"
    eight.nodes[0].run(f"devmem {bar} 32 0xFEEDF00D")
    assert set(outputs(eight, f"devmem {bar} 32")) == {"0xFEEDF00D"}
    assert eight.fam.array("u4")[0] == 0xFEEDF00D


@pytest.mark.vm
def test_what_a_restored_node_keeps_to_itself_no_other_sees(eight: Lab) -> None:
    eight.run("uname -n >/tmp/mine; dd if=/dev/urandom of=/tmp/much bs=1M count=8 2>/dev/null")
    assert outputs(eight, "cat /tmp/mine") == list(eight.spec.node_names)
    assert len(set(outputs(eight, "sha256sum </tmp/much"))) == NODES
    eight.run("rm /tmp/much")


@pytest.mark.vm
def test_the_templates_files_are_gone_when_the_lab_is_up(eight: Lab) -> None:
    names = {path.name for path in LabDirectory.of(eight.spec.name).path.iterdir()}
    assert not {name for name in names if name.startswith("template") and name != "template.console"}
    assert not {name for name in names if ".own." in name}


@pytest.mark.vm
def test_no_command_line_tells_a_key_or_a_seed(eight: Lab) -> None:
    for pid in qemu_processes(eight.spec.name):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        items = [word for word in words if b"opt/fame_lab" in word]
        assert items
        assert all(re.fullmatch(rb"name=opt/fame_lab/[a-z_]+,file=[^,]+", item) for item in items)


@pytest.mark.vm
def test_a_template_holds_no_key_and_no_node(qemu: str) -> None:
    spec = restored("blank", qemu=qemu)
    with (
        provisioned(spec, lambda _: None) as context,
        template.start_mode(context, deadline=300, tell=lambda _: None) as start,
    ):
        assert start.template is not None
        content = start.template.memory.read_bytes() + start.template.state.read_bytes()
        assert b"fame.template" in content  # so it is its memory that is looked at
        for node in spec.node_names:
            identity = context.keys.identity(node, context.directory)
            assert identity.authorized_key.split()[1].encode() not in content
            assert identity.host_key.private_bytes_raw() not in content
            assert identity.host_key.public_key().public_bytes_raw() not in content
            assert node.encode() not in content
        assert qemu_processes("blank") == []
    LabStatus.end(next(each for each in Lab.list() if each.name == "blank"))
    assert leftovers("blank") == []


@pytest.mark.vm
def test_a_restored_node_is_traced_to_the_last_access(qemu: str) -> None:
    with Lab(restored("seen", trace=True, qemu=qemu), progress=False) as lab:
        assert kinds(lab) == {"template"}
        bar = "$(awk 'NR == 3 {print $1}' /sys/bus/pci/devices/0000:00:09.0/resource)"
        with lab.record(source="trace") as traffic:
            lab.nodes[0].run(f"for i in 1 2 3 4 5; do devmem $(({bar} + 4096)) 64 0xFA; done")
            lab.nodes[1].run(f"devmem $(({bar} + 8192)) 64")
        counts = traffic.matrix("accesses").sum("home")
        assert counts.sel(op="store").values.tolist() == [5, 0]
        assert counts.sel(op="load").values.tolist() == [0, 1]
    assert leftovers("seen") == []


@pytest.mark.vm
def test_a_restored_node_that_reboots_is_the_same_node_with_the_same_fam(qemu: str) -> None:
    with Lab(restored("again", qemu=qemu), progress=False) as lab:
        one, two = lab.nodes
        boot_id = one.run("cat /proc/sys/kernel/random/boot_id").stdout
        lab.fam.array("u4", writable=True)[0] = 77
        one.run("reboot", check=False)
        end = time.monotonic() + Appliance.deadline
        while one.console().count("fame: node01 ready") < 2:
            assert time.monotonic() < end, one.console()
            time.sleep(0.1)
        one.connection.close()
        assert one.run("cat /proc/sys/kernel/random/boot_id").stdout != boot_id
        assert one.run("uname -n").stdout == "node01\n"
        bar = "$(awk 'NR == 3 {print $1}' /sys/bus/pci/devices/0000:00:09.0/resource)"
        assert [node.run(f"devmem {bar} 32").stdout for node in (one, two)] == ["0x0000004D\n"] * 2
    assert leftovers("again") == []


@pytest.mark.vm
def test_a_restored_node_that_is_restarted_boots_cold_and_says_so(qemu: str) -> None:
    with Lab(restored("anew2", qemu=qemu), progress=False) as lab:
        lab.nodes[1].restart()
        start = lab.manifest()["start"]
        assert (start["node01"]["kind"], start["node02"]["kind"]) == ("template", "cold")
        assert "restarted" in start["node02"]["reason"]
        assert outputs(lab, "uname -n") == ["node01", "node02"]
    assert leftovers("anew2") == []


@pytest.mark.soak
@pytest.mark.vm
def test_a_template_whose_qemu_is_killed_is_made_again_and_then_done_without(
    caplog: pytest.LogCaptureFixture,
    qemu: str,
) -> None:
    killed: list[int] = []

    def kill_templates(enough: threading.Event) -> None:
        while not enough.wait(0.05):
            for pid in qemu_processes("struck"):
                if b"fame-struck-template" not in Path(f"/proc/{pid}/cmdline").read_bytes():
                    continue
                # Its kernel boots by now: libvirt's own part of the start is over.
                if pid not in killed and processor_seconds(pid) > 1:
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)

    enough = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        killing = pool.submit(kill_templates, enough)
        try:
            with Lab(restored("struck", qemu=qemu), progress=False) as lab:
                assert kinds(lab) == {"cold"}
                assert {"the template did not come up"} == {
                    start["reason"] for start in lab.manifest()["start"].values()
                }
        finally:
            enough.set()
            killing.result()
    assert len(killed) == boot.ATTEMPTS
    assert "the template of struck did not come up" in caplog.text
    assert leftovers("struck") == []


@pytest.mark.vm
def test_nodes_that_cannot_take_the_templates_state_boot_cold(
    monkeypatch: pytest.MonkeyPatch, qemu: str
) -> None:
    save = migration.save

    def save_half(domain: Domain, state: Path) -> None:
        save(domain, state)
        os.truncate(state, state.stat().st_size // 2)

    monkeypatch.setattr(migration, "save", save_half)
    with Lab(restored("halved", qemu=qemu), progress=False) as lab:
        assert kinds(lab) == {"cold"}
        assert "did not come up" in lab.manifest()["start"]["node01"]["reason"]
        assert outputs(lab, "uname -n") == ["node01", "node02"]
    assert leftovers("halved") == []


SCRIPT = """
import sys, time
from fame_lab import Lab, LabSpec
print("begun", flush=True)
spec = LabSpec("cutoff", nodes=4, fam="1M", start="template", qemu=sys.argv[1])
with Lab(spec, progress=False) as lab:
    time.sleep(1)
"""


def end_at(seconds: float, number: signal.Signals, qemu: str) -> None:
    """Start a lab from a template in a process of its own, and end that after `seconds`."""
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, qemu], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    time.sleep(seconds)
    process.send_signal(number)
    process.communicate(timeout=120)
    if number == signal.SIGKILL:
        for listing in Lab.list():
            if listing.name == "cutoff":
                listing.end()
    assert leftovers("cutoff") == []


@pytest.mark.vm
def test_a_start_from_a_template_that_is_cut_short_leaves_nothing(qemu: str) -> None:
    end_at(3.0, signal.SIGKILL, qemu)


@pytest.mark.vm
@pytest.mark.soak
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL] * 15)
def test_thirty_starts_from_a_template_cut_short_leave_nothing(number: signal.Signals, qemu: str) -> None:
    end_at(random.Random().uniform(0, 12), number, qemu)  # noqa: S311


@pytest.mark.vm
@pytest.mark.soak
def test_forty_restored_nodes_are_forty_nodes(qemu: str) -> None:
    with Lab(restored("fortyfold", nodes=40, fam="64M", qemu=qemu), progress=False) as lab:
        assert kinds(lab) == {"template"}
        assert outputs(lab, "uname -n") == list(lab.spec.node_names)
        assert len(set(outputs(lab, "head -c 32 /dev/urandom | sha256sum"))) == 40
        lab.nodes[0].run("true")
    assert leftovers("fortyfold") == []
