from ipaddress import IPv4Network

import pytest
from leftovers import leftovers
from namespace import apart

from fame_lab import Lab, LabSpec
from fame_lab.errors import HostError, LabError, SpecError
from fame_lab.host.libvirt import network
from fame_lab.host.libvirt.connection import connect

SPEC = LabSpec("wired", nodes=2, network="libvirt")


@pytest.mark.net
@apart
def test_a_network_is_there_once_made_and_gone_once_ended() -> None:
    connection = connect()
    network.create(connection, SPEC)
    assert list(network.labs(connection)) == ["wired"]
    assert "network fame-wired" in leftovers("wired")
    assert network.destroy(connection, "wired")
    assert leftovers("wired") == []
    assert not network.destroy(connection, "wired")


@pytest.mark.net
@apart
def test_addresses_in_use_are_refused_and_the_ones_proposed_are_free() -> None:
    connection = connect()
    network.create(connection, SPEC)
    try:
        with pytest.raises(SpecError) as caught:
            network.create(connection, LabSpec("second", network="libvirt"))
        message = str(caught.value)
        assert (
            "192.168.42.0/24" in message and "the lab 'wired'" in message and caught.value.field == "subnet"
        )
        free = message.partition("give subnet='")[2].partition("'")[0]
        network.create(connection, LabSpec("second", network="libvirt", subnet=free))
    finally:
        for lab in ("wired", "second"):
            network.destroy(connection, lab)
    assert leftovers("wired") + leftovers("second") == []


@pytest.mark.net
@apart
def test_what_another_interface_has_is_refused() -> None:
    with pytest.raises(SpecError, match=r"127\.0\.0\.0/8 is of the interface lo"):
        # None that a spec would take, but the one that is surely there.
        network._check_free(connect(), IPv4Network("127.0.0.0/16"))


@pytest.mark.net
@apart
def test_a_network_that_a_killed_start_left_is_named_and_taken_away_as_an_orphan() -> None:
    connection = connect()
    network.create(connection, SPEC)
    with pytest.raises(LabError, match="fame-lab down wired"):
        network.create(connection, LabSpec("wired", network="libvirt", subnet="192.168.77.0/24"))
    (status,) = Lab.list()
    assert (status.name, status.is_orphan) == ("wired", True)
    assert status.end_if_orphan()
    assert leftovers("wired") == []


@pytest.mark.net
@apart
def test_where_libvirt_cannot_make_it_the_error_says_what_it_takes() -> None:
    connection = connect()
    network.create(connection, SPEC)
    try:
        # Another one's bridge bears the name already.
        other = LabSpec("taken", network="libvirt", subnet="192.168.77.0/24")
        spec = network.network_xml(other).replace('"fame-taken"', '"fame-wired"')
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(network, "network_xml", lambda _: spec)
            with pytest.raises(HostError, match="dnsmasq-base"):
                network.create(connection, other)
    finally:
        network.destroy(connection, "wired")
    assert leftovers("wired") + leftovers("taken") == []
