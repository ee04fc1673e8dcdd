"""The network of a lab that was exported."""

from __future__ import annotations

import pytest
from exported_lab import defined, exported, running, ssh
from leftovers import leftovers
from namespace import apart

from fame_lab.host.libvirt import network
from fame_lab.host.libvirt.connection import connect

pytestmark = pytest.mark.vm


@pytest.mark.net
@apart
def test_domains_reach_each_other_and_the_host_by_libvirts_network() -> None:
    with exported("wired", network="libvirt") as (spec, folder):
        with defined(spec, folder):
            output = ssh(folder, "node01", "ping -q -c 1 -w 5 node02 && ping -q -c 1 -w 5 host && ip -4 addr")
            assert "inet 192.168.42.1/24" in output
            assert network.labs(connect()) == {}  # nobody's, so no end of a lab is its own
        # libvirt itself forgets files of a network's there.
        assert [each for each in leftovers(spec.name) if not each.startswith("/run/libvirt/network/")] == []


def test_scripts_connect_nodes_without_a_bridge() -> None:
    with exported("alone", network="libvirt", subnet="10.9.8.0/24") as (spec, folder), running(spec, folder):
        ssh(folder, "node02", "true")
        assert "inet 10.9.8.1/24" in ssh(folder, "node01", "ping -q -c 1 -w 20 node02 >&2 && ip -4 addr")
    assert leftovers(spec.name) == []
