from ipaddress import IPv4Network

import pytest

from fame_lab.errors import SpecError
from fame_lab.spec.lab_spec import LabSpec
from fame_lab.spec.subnet import Subnet, free_subnet

FAME = Subnet.parse("192.168.42.0/24")


def test_nodes_the_host_and_cards_are_numbered_as_in_fame() -> None:
    assert [str(FAME.address(index)) for index in (0, 39)] == ["192.168.42.1", "192.168.42.40"]
    assert str(FAME.host) == "192.168.42.254"
    assert [FAME.mac(index) for index in (0, 9)] == ["48:50:42:01:01:01", "48:50:42:10:10:10"]


def test_a_larger_network_is_counted_from_its_first_address() -> None:
    large = Subnet.parse("10.64.0.0/10")
    assert (str(large.address(0)), str(large.host)) == ("10.64.0.1", "10.64.0.254")


def test_hosts_are_named_and_the_host_only_where_it_has_an_address() -> None:
    assert FAME.hosts(["node01"], with_host=False) == "192.168.42.1 node01\n"
    assert FAME.hosts(["node01"], with_host=True).endswith("\n192.168.42.254 host\n")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("192.168.42.1/24", "did you mean '192.168.42.0/24'"),
        ("192.168.42.0", "such as '192.168.42.0/24'"),
        ("192.168.42.0/25", "'192.168.42.0/24' has"),
        ("192.0.2.0/24", "not private"),
        ("127.0.0.0/8", "not private"),
        ("fd00::/64", "no IPv4 network"),
        ("10.0.0.0/8", "by which SSH comes in"),
        ("", "no IPv4 network"),
        (24, "no IPv4 network"),
    ],
)
def test_what_cannot_be_is_refused_with_the_value_and_what_to_give(text: object, why: str) -> None:
    with pytest.raises(SpecError) as caught:
        Subnet.parse(text)
    assert repr(text) in str(caught.value)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        "9" * 100_000,
        "1" * 50_000 + "/24",
        "10.0.0.0/" + "9" * 100_000,
        10**5000,
        b"10.0.0.0/24",
        "10.0.0.0/24/" * 10_000,
        ["10.0.0.0/24"] * 10_000,
        "192.168.42.0/24\x1b[2J",
    ],
    ids=range(8),
)
def test_whatever_is_no_subnet_is_refused_in_one_short_line(wrong: object) -> None:
    with pytest.raises(SpecError) as refused:
        Subnet.parse(wrong)
    assert len(str(refused.value)) < 300
    assert str(refused.value).isprintable()


def test_a_network_of_ipaddress_is_one() -> None:
    assert Subnet.parse(IPv4Network("192.168.7.0/24")) == Subnet.parse("192.168.7.0/24")


def test_the_free_one_that_is_proposed_overlaps_nothing_that_is_taken() -> None:
    networks = [
        IPv4Network("192.168.42.0/24"),
        IPv4Network("192.168.43.128/25"),
        IPv4Network("192.168.44.0/22"),
    ]
    free = free_subnet(networks)
    assert free is not None
    assert not any(free.network.overlaps(each) for each in networks)
    assert Subnet.parse(str(free)) == free


def test_nothing_is_proposed_where_all_is_taken() -> None:
    assert free_subnet([IPv4Network("0.0.0.0/0")]) is None


def test_a_subnet_for_nodes_without_addresses_is_refused() -> None:
    with pytest.raises(SpecError, match=r"subnet is '10.1.0.0/24'.*give network='libvirt'") as refused:
        LabSpec("demo", subnet="10.1.0.0/24")
    assert refused.value.field == "subnet"
    assert LabSpec("demo", network="libvirt", subnet="10.1.0.0/24").addresses == Subnet.parse("10.1.0.0/24")


def test_a_saved_spec_with_a_subnet_that_it_does_not_use_is_read_all_the_same() -> None:
    saved = LabSpec("demo").to_dict() | {"subnet": "10.1.0.0/24"}
    assert LabSpec.from_dict(saved) == LabSpec("demo")
    assert LabSpec.from_toml('name = "demo"\nsubnet = "10.1.0.0/24"') == LabSpec("demo")
    with pytest.raises(SpecError, match=r"subnet is '8.8.8.0/24', which is not private"):
        LabSpec.from_dict(saved | {"subnet": "8.8.8.0/24"})
