"""A lab's own NAT network under the system libvirt: its bridge, its DHCP and DNS server, and their end."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Iterator
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import libvirt
import psutil

from fame_lab.errors import HostError, LabError, SpecError
from fame_lab.spec.lab_spec import LabSpec
from fame_lab.spec.subnet import HOST_NAME, Subnet, free_subnet

__all__ = ["bridge_name", "check_free", "create", "destroy", "labs", "network_name", "network_xml"]

NAMESPACE = "urn:fame_lab:network:1"
_TAG = f"{{{NAMESPACE}}}network"
ElementTree.register_namespace("fame-net", NAMESPACE)
#: Characters of an interface's name, in Linux.
_LONGEST_NAME = 15
_STATE = Path("/run/libvirt/network")
_ROUTES = Path("/proc/net/route")
_GONE = (libvirt.VIR_ERR_NO_NETWORK, libvirt.VIR_ERR_OPERATION_INVALID)
_LACKING = (
    "a network of libvirt's takes the packages dnsmasq-base and iptables, and the right to make a bridge: "
    "`fame-lab doctor` tells more; network='user' does without"
)


def network_name(lab: str) -> str:
    """Return libvirt's name of a lab's network."""
    return f"fame-{lab}"


def bridge_name(lab: str) -> str:
    """Return the name of a lab's bridge on the host: the network's, or a hash of it if that is too long."""
    name = network_name(lab)
    return name if len(name) <= _LONGEST_NAME else f"fame-{hashlib.sha256(lab.encode()).hexdigest()[:10]}"


def network_xml(spec: LabSpec, *, exported: bool = False) -> str:
    """Return the network of a lab.

    Parameters
    ----------
    spec : LabSpec
        One with ``network="libvirt"``.
    exported : bool
        Whether it has no lab, so that no lab's end removes it.

    Returns
    -------
    str
        XML for ``virNetworkCreateXML``, and for `virsh`.
    """
    subnet = Subnet.parse(spec.subnet)
    network = Element("network")
    SubElement(network, "name").text = network_name(spec.name)
    if not exported:
        SubElement(SubElement(network, "metadata"), _TAG, lab=spec.name)
    SubElement(network, "forward", mode="nat")
    # Its ports forward at once: no node on it can make a loop.
    SubElement(network, "bridge", name=bridge_name(spec.name), stp="off", delay="0")
    # Names without a dot are the lab's, and the server forwards no query for them.
    dns = SubElement(network, "dns", forwardPlainNames="no")
    ip = SubElement(network, "ip", address=str(subnet.host), prefix=str(subnet.network.prefixlen))
    dhcp = SubElement(ip, "dhcp")
    for index, node in enumerate(spec.node_names):
        address = str(subnet.address(index))
        # By a lease alone the server would know a name only once its node is up.
        SubElement(SubElement(dns, "host", ip=address), "hostname").text = node
        host = SubElement(dhcp, "host", mac=subnet.mac(index), name=node, ip=address)
        SubElement(host, "lease", expiry="0")  # never: a node need not come back for it
    SubElement(SubElement(dns, "host", ip=str(subnet.host)), "hostname").text = HOST_NAME
    ElementTree.indent(network)  # people read it too
    return ElementTree.tostring(network, encoding="unicode")


def create(connection: libvirt.virConnect, spec: LabSpec) -> None:
    """Create a lab's network, which vanishes when it ends.

    Raises
    ------
    LabError
        If it exists, as after a start that was killed.
    SpecError
        If its addresses are in use on this host; a free network is proposed.
    HostError
        If libvirt cannot make it.
    """
    if spec.name in labs(connection):
        raise LabError(
            f"the lab {spec.name!r} was killed and left its network", hint=f"`fame-lab down {spec.name}`"
        )
    check_free(connection, spec)
    try:
        connection.networkCreateXML(network_xml(spec))
    except libvirt.libvirtError as error:
        # Another network may have come first since.
        check_free(connection, spec)
        raise HostError(
            f"libvirt cannot make the network of {spec.name!r}, {spec.subnet}: {error}; {_LACKING}"
        ) from error


def check_free(connection: libvirt.virConnect, spec: LabSpec) -> None:
    """Raise SpecError if this host has addresses of the lab's network in use, and propose free ones."""
    _check_free(connection, Subnet.parse(spec.subnet).network)


def _check_free(connection: libvirt.virConnect, subnet: IPv4Network) -> None:
    with _as_host_error("cannot list its networks"):
        networks = list(_host_networks(connection))
    overlaps = [f"{network} is of {what}" for network, what in networks if network.overlaps(subnet)]
    if not overlaps:
        return
    free = free_subnet(network for network, _ in networks)
    error = SpecError(
        f"subnet is {str(subnet)!r}, which is in use on this host ({'; '.join(dict.fromkeys(overlaps))}): "
        + (f"give subnet={str(free)!r}, which is free" if free else "no other private one is free either")
    )
    error.field = "subnet"
    raise error


def labs(connection: libvirt.virConnect) -> dict[str, libvirt.virNetwork]:
    """Return the networks of labs by the lab's name in their metadata; none where libvirt has no networks."""
    with _as_host_error("cannot list its networks"):
        try:
            handles = {_lab(element): handle for handle, element in _networks(connection)}
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT:
                raise
            return {}
    return {name: handle for name, handle in handles.items() if name is not None}


def destroy(connection: libvirt.virConnect, lab: str) -> bool:
    """End a lab's network, with its bridge, its server and their files; return whether there was one.

    Raises
    ------
    HostError
        If libvirt cannot.
    """
    handle = labs(connection).get(lab)
    if handle is None:
        return False
    try:
        handle.destroy()
    except libvirt.libvirtError as error:
        if error.get_error_code() not in _GONE:
            raise HostError(f"libvirt cannot end the network of {lab!r}: {error}") from error
    # libvirt 9.0 forgets these files.
    (_STATE / f"{network_name(lab)}.pid").unlink(missing_ok=True)
    shutil.rmtree(_STATE / network_name(lab), ignore_errors=True)
    return True


def _networks(connection: libvirt.virConnect) -> Iterator[tuple[libvirt.virNetwork, Element]]:
    for handle in connection.listAllNetworks():
        with contextlib.suppress(libvirt.libvirtError):  # gone since
            yield handle, ElementTree.fromstring(handle.XMLDesc())  # noqa: S314 - libvirt's own


def _lab(network: Element) -> str | None:
    ours = network.find(f"metadata/{_TAG}")
    return None if ours is None else ours.get("lab")


def _host_networks(connection: libvirt.virConnect) -> Iterator[tuple[IPv4Network, str]]:
    """Yield the networks that this host knows, each with its user."""
    bridges = {}
    for _, element in _networks(connection):
        lab = _lab(element)
        what = f"libvirt's network {element.findtext('name')!r}" if lab is None else f"the lab {lab!r}"
        if (bridge := element.find("bridge")) is not None:
            bridges[bridge.get("name", "")] = what
        for ip in element.findall("ip"):
            mask = ip.get("prefix") or ip.get("netmask")
            if ip.get("family", "ipv4") == "ipv4" and mask:
                yield IPv4Interface(f"{ip.get('address')}/{mask}").network, what
    for name, addresses in psutil.net_if_addrs().items():
        for address in addresses:
            if address.family.name == "AF_INET" and address.netmask:
                network = IPv4Interface(f"{address.address}/{address.netmask}").network
                yield network, bridges.get(name, f"the interface {name}")
    for name, network in _routes(_ROUTES.read_text()):
        yield network, bridges.get(name, f"the route by {name}")


def _routes(table: str) -> Iterator[tuple[str, IPv4Network]]:
    """Read the kernel's table of routes: interface and destination of each but those to everywhere."""
    for line in table.splitlines()[1:]:
        name, destination, _, _, _, _, _, mask, *_ = line.split()
        if int(mask, 16):
            address, bits = (int.from_bytes(bytes.fromhex(each), "little") for each in (destination, mask))
            yield name, IPv4Network((address, bits.bit_count()))


@contextlib.contextmanager
def _as_host_error(what: str) -> Iterator[None]:
    try:
        yield
    except libvirt.libvirtError as error:
        raise HostError(f"libvirt {what}: {error}; {_LACKING}") from error
