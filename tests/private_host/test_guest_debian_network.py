"""Debian's nodes, and a user's own disk, in a network of the lab's own: a bridge with leases, a switch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from leftovers import leftovers
from namespace import apart

from fame_lab import Lab, LabSpec
from fame_lab.guest.images import debian
from fame_lab.host.libvirt.connection import connect

# Two Debians, emulated, boot for a minute, and one with cloud-init for some.
pytestmark = [pytest.mark.vm, pytest.mark.net, pytest.mark.soak, pytest.mark.timeout(2400)]

CLOUD = "debian-cloud-init"


@pytest.fixture(autouse=True, scope="module")
def images() -> None:
    """Build what is not there yet: where the tests run nothing can be fetched."""
    debian.ensure("debian")
    debian.build(CLOUD, ["cloud-init"])


@apart
def test_debians_lease_their_addresses_at_the_bridge_and_reach_each_other_by_name() -> None:
    with Lab(LabSpec("wired-debian", nodes=2, fam="64M", image="debian", network="libvirt")) as lab:
        one, two = lab.nodes
        one.run("ping -c 1 -w 5 node02 && ping -c 1 -w 5 host")
        assert one.run("getent hosts node02").stdout.split() == ["192.168.42.2", "node02"]
        outputs = {node: result.stdout for node, result in lab.run("ip -4 -o addr; ip route").items()}
        assert "inet 192.168.42.1/24" in outputs["node01"] and "inet 192.168.42.2/24" in outputs["node02"]
        assert "default via 192.168.42.254" in outputs["node01"]
        leases = connect().networkLookupByName("fame-wired-debian").DHCPLeases()
        assert {lease["mac"] for lease in leases} == {"48:50:42:01:01:01", "48:50:42:02:02:02"}
        two.restart()
        one.run("ping -c 1 -w 5 node02")
    assert leftovers("wired-debian") == []


@apart
def test_a_disk_with_cloud_init_leases_its_address_at_the_bridge() -> None:
    disk = Path("/dev/shm/mine.qcow2")  # noqa: S108  this namespace's own
    disk.symlink_to(debian.build(CLOUD, ["cloud-init"]).disk)
    with Lab(LabSpec("wired-cloud", nodes=1, fam="64M", image=disk, network="libvirt")) as lab:
        (node,) = lab.nodes
        assert "inet 192.168.42.1/24" in node.run("ip -4 -o addr").stdout
        node.run("ping -c 1 -w 5 host && grep -q node01 /etc/hosts")
    assert leftovers("wired-cloud") == []


SWITCHED = """
import json
from fame_lab import Lab, LabSpec
from leftovers import leftovers
with Lab(LabSpec("switched-debian", nodes=2, fam="64M", image="debian", network="libvirt")) as lab:
    fields = {
        "reached": lab.nodes[1].run("ping -q -c 1 -w 5 node01 && ping -q -c 1 -w 5 192.168.42.1").exit_status,
        "host": lab.nodes[0].run("ping -q -c 1 -w 2 192.168.42.254", check=False).exit_status,
        "failed": lab.nodes[0].run("systemctl --failed --no-legend").stdout,
    }
print(json.dumps(fields | {"left": leftovers("switched-debian")}))
"""


def test_an_ordinary_users_debians_meet_at_a_switch(as_ordinary_user: Callable[[str], Any]) -> None:
    assert as_ordinary_user(SWITCHED) == {"reached": 0, "host": 1, "failed": "", "left": []}
