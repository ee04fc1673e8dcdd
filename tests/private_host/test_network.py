import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from leftovers import leftovers
from namespace import apart
from repository import SUPPORT

from fame_lab import Lab, LabSpec
from fame_lab.errors import HostError, LabError, NetworkError, SpecError
from fame_lab.host.libvirt import network
from fame_lab.host.libvirt.connection import connect

pytestmark = [pytest.mark.vm, pytest.mark.net]


def wired(name: str, **fields: object) -> LabSpec:
    return LabSpec(name, fam="1M", network="libvirt", **fields)  # type: ignore[arg-type]


@apart
def test_nodes_and_the_host_reach_each_other_by_name_and_address() -> None:
    with Lab(wired("reached", nodes=2), progress=False) as lab:
        one, two = lab.nodes
        assert (one.address, two.address) == ("192.168.42.1", "192.168.42.2")
        assert two.address is not None
        # Whoever follows the hosts file would not notice that nobody answers for names.
        assert two.address in one.run("nslookup node02 192.168.42.254 | grep -A1 ^Name").stdout
        one.run("ping -c 1 -w 5 node02 && ping -c 1 -w 5 host && rm /etc/hosts && ping -c 1 -w 5 node02")
        with socket.create_connection((two.address, 22), timeout=10) as connection:
            assert connection.recv(4) == b"SSH-"
        leases = connect().networkLookupByName("fame-reached").DHCPLeases()
        assert {(lease["mac"], lease["ipaddr"]) for lease in leases} == {
            ("48:50:42:01:01:01", "192.168.42.1"),
            ("48:50:42:02:02:02", "192.168.42.2"),
        }
    assert leftovers("reached") == []


@apart
def test_two_labs_take_two_subnets_and_a_node_that_boots_anew_keeps_its_address() -> None:
    with Lab(wired("left", nodes=1), progress=False) as left:
        with pytest.raises(SpecError) as caught:
            Lab(wired("right", nodes=1), progress=False).start()
        assert leftovers("right") == []
        free = str(caught.value).partition("give subnet='")[2].partition("'")[0]
        with Lab(wired("right", nodes=1, subnet=free), progress=False) as right:
            right.nodes[0].restart()
            assert f"inet {right.nodes[0].address}/24" in right.run("ip addr")["node01"].stdout
            left.run("ping -c 1 -w 5 host")
    assert leftovers("left") + leftovers("right") == []


@apart
def test_a_network_that_is_destroyed_under_a_lab_costs_the_network_alone() -> None:
    with Lab(wired("torn", nodes=1), progress=False) as lab:
        network.destroy(connect(), "torn")
        assert lab.run("uname")["node01"].stdout == "Linux\n"
        with pytest.raises(HostError, match="fame-torn"):
            lab.nodes[0].restart()
    assert leftovers("torn") == []


@apart
def test_a_node_without_its_address_is_no_ready_lab() -> None:
    with pytest.MonkeyPatch.context() as patch:
        # Its server leases nothing to a card that it does not know.
        xml = network.network_xml(spec := wired("mute", nodes=1)).replace('mac="48:50:42', 'mac="48:50:43')
        patch.setattr(network, "network_xml", lambda _: xml)
        patch.setattr("fame_lab.lab.network_proof._PATIENCE", 1)
        with pytest.raises(NetworkError, match=r"does not reach node01 at 192\.168\.42\.1"):
            Lab(spec, progress=False).start()
    assert leftovers("mute") == []


@apart
def test_the_network_outlives_libvirtd_and_goes_with_the_lab() -> None:
    lab = Lab(wired("steady", nodes=2), progress=False).start()
    daemon = psutil.Process(int(Path("/run/libvirtd.pid").read_text()))
    daemon.kill()
    daemon.wait()
    lab.nodes[0].run("ping -c 1 -w 5 node02 && nslookup node02 192.168.42.254")
    lab.detach()
    assert list(network.labs(connect())) == ["steady"]
    Lab.attach("steady").stop()
    assert leftovers("steady") == []


@apart
def test_a_start_that_is_cancelled_while_nodes_look_for_each_other_leaves_nothing() -> None:
    cancelled = threading.Event()

    def cancel(_who: str, stage: str) -> None:
        if stage == "proving the network":
            cancelled.set()

    with pytest.raises(LabError, match="cancelled"):
        Lab(wired("calledoff", nodes=2), progress=False).start(cancelled=cancelled, tell=cancel)
    assert leftovers("calledoff") == []


KILLED = """
import os, signal
from fame_lab import Lab, LabSpec
from fame_lab.lab import network

make = network.BridgeNetwork.make

def make_and_die(*arguments):
    make(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)

network.BridgeNetwork.make = make_and_die
Lab(LabSpec("killed", nodes=2, fam="1M", network="libvirt"), progress=False).start()
"""


@apart
def test_the_network_that_a_killed_start_left_goes_with_the_orphans() -> None:
    subprocess.run([sys.executable, "-c", KILLED], check=False)
    assert any(each.startswith("network") for each in leftovers("killed"))
    subprocess.run([sys.executable, "-m", "fame_lab", "down", "--orphans"], check=True)
    assert leftovers("killed") == []


@apart
def test_a_lab_whose_start_was_killed_among_its_nodes_is_ended_by_its_name() -> None:
    script = "from test_network import *; Lab(wired('cut', nodes=3), progress=False).start()"
    paths = os.pathsep.join(map(str, (SUPPORT, Path(__file__).parent)))
    with subprocess.Popen([sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": paths}) as start:
        while not any(each.startswith("domain") for each in leftovers("cut")):
            assert start.poll() is None
            time.sleep(0.1)
        start.kill()
    subprocess.run([sys.executable, "-m", "fame_lab", "down", "cut"], check=True)
    assert leftovers("cut") == []


SWITCHED = """
import json
from fame_lab import Lab, LabSpec
from leftovers import leftovers, network_processes
with Lab(LabSpec("switched", nodes=3, fam="1M", network="libvirt"), progress=False) as lab:
    ping = "ping -q -c 1 -w 20"
    fields = {
        "running": len(network_processes("switched")),
        "addresses": [node.address for node in lab.nodes],
        "reached": lab.nodes[2].run(f"{ping} node01 && {ping} 192.168.42.2").exit_status,
        "host": lab.nodes[0].run("ping -q -c 1 -w 2 192.168.42.254", check=False).exit_status,
    }
    lab.nodes[0].restart()
    fields["again"] = lab.nodes[0].run(f"{ping} node03").exit_status
print(json.dumps(fields | {"left": leftovers("switched")}))
"""


def test_an_ordinary_users_nodes_meet_at_a_switch_and_reach_nothing_else(
    as_ordinary_user: Callable[[str], Any],
) -> None:
    if shutil.which("vde_switch") is None:
        pytest.skip("vde2 is not installed")
    assert as_ordinary_user(SWITCHED) == {
        "running": 1,
        "addresses": ["192.168.42.1", "192.168.42.2", "192.168.42.3"],
        "reached": 0,
        "host": 1,
        "again": 0,
        "left": [],
    }
