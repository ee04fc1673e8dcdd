from ipaddress import IPv4Network
from xml.etree import ElementTree

import pytest

from fame_lab import LabSpec
from fame_lab.host.libvirt import network

SPEC = LabSpec("wired", nodes=2, network="libvirt")


def parsed(spec: LabSpec) -> ElementTree.Element:
    return ElementTree.fromstring(network.network_xml(spec))  # noqa: S314


def test_every_node_has_a_lease_that_does_not_end_and_a_name() -> None:
    described = parsed(SPEC)
    hosts = described.findall("ip/dhcp/host")
    assert [host.attrib for host in hosts] == [
        {"mac": "48:50:42:01:01:01", "name": "node01", "ip": "192.168.42.1"},
        {"mac": "48:50:42:02:02:02", "name": "node02", "ip": "192.168.42.2"},
    ]
    assert [host.find("lease").get("expiry") for host in hosts] == ["0", "0"]  # type: ignore[union-attr]
    names = {host.get("ip"): host.findtext("hostname") for host in described.findall("dns/host")}
    assert names == {"192.168.42.1": "node01", "192.168.42.2": "node02", "192.168.42.254": "host"}


def test_the_network_is_translated_and_has_the_subnet_that_was_asked_for() -> None:
    described = parsed(LabSpec("wired", network="libvirt", subnet="10.7.0.0/16"))
    assert described.find("forward[@mode='nat']") is not None
    ip = described.find("ip")
    assert ip is not None and (ip.get("address"), ip.get("prefix")) == ("10.7.0.254", "16")


@pytest.mark.parametrize("lab", ["a", "demo", "ten-letter", "a" * 32, "a" * 31 + "b"])
def test_a_bridge_has_a_name_that_linux_takes(lab: str) -> None:
    assert len(network.bridge_name(lab)) <= 15
    assert network.bridge_name(lab).startswith("fame-")


def test_long_names_give_different_bridges() -> None:
    assert network.bridge_name("a" * 32) != network.bridge_name("a" * 31 + "b")


def test_routes_are_read_but_those_to_everywhere() -> None:
    table = (
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth0\t002AA8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    )
    assert list(network._routes(table)) == [("eth0", IPv4Network("192.168.42.0/24"))]
