"""A node's domain as QEMU's own command line, for where there is no libvirt."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from fame_lab.errors import SpecError
from fame_lab.host.libvirt.domain_xml import QEMU_NAMESPACE
from fame_lab.host.qemu import PROGRAM
from fame_lab.spec.qemu_options import escaped

__all__ = ["qemu_args"]


def qemu_args(xml: str) -> list[str]:
    """Return QEMU's command line for a domain of :func:`fame_lab.host.libvirt.domain_xml.domain_xml`.

    Parameters
    ----------
    xml : str
        A domain as the kit writes it, and no other.

    Returns
    -------
    list of str
        The program and its arguments. The serial line is the terminal's where the domain has it on a
        pseudo-terminal.

    Raises
    ------
    SpecError
        If the domain has an element that plain QEMU has no argument for.
    """
    domain = ElementTree.fromstring(xml)  # noqa: S314 - made here, by us
    words = [
        domain.findtext("devices/emulator") or PROGRAM,
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
    ]
    words += ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"]
    words += ["-accel", _accelerator(domain)]
    for element in domain:
        words += _translate(_PARTS, element)
    return words


Translator = Callable[[Element], list[str]]


def _translate(translators: dict[str, Translator], element: Element) -> list[str]:
    # An unknown element is an error, and not left out silently.
    if (translator := translators.get(element.tag)) is None:
        raise SpecError(
            f"QEMU alone cannot be given the domain's <{element.tag}>", hint="use the XML, with libvirt"
        )
    return translator(element)


def _accelerator(domain: Element) -> str:
    cache = domain.findtext("features/tcg/tb-cache")
    return "kvm" if domain.get("type") == "kvm" else "tcg" + (f",tb-size={cache}" if cache else "")


def _vcpu(element: Element) -> list[str]:
    return ["-smp", f"{element.get('current', element.text)},maxcpus={element.text}"]


def _cpu(element: Element) -> list[str]:
    model = {"maximum": "max", "host-passthrough": "host"}[element.attrib["mode"]]
    features = [f"{each.attrib['name']}=off" for each in element.findall("feature[@policy='disable']")]
    if element.find("maxphysaddr[@mode='passthrough']") is not None:
        features.append("host-phys-bits=on")
    return ["-cpu", ",".join([model, *features])]


def _os(element: Element) -> list[str]:
    words = ["-machine", f"{_of(element, 'type', 'machine')},usb=off"]
    for tag, flag in (("kernel", "-kernel"), ("initrd", "-initrd"), ("cmdline", "-append")):
        if (value := element.findtext(tag)) is not None:
            words += [flag, value]
    return words


def _sysinfo(element: Element) -> list[str]:
    words = []
    for entry in element.findall("entry"):
        file = entry.get("file")
        content = f"string={escaped(entry.text or '')}" if file is None else f"file={escaped(file)}"
        words += ["-fw_cfg", f"name={entry.attrib['name']},{content}"]
    return words


def _disk(element: Element) -> list[str]:
    name, form = _of(element, "target", "dev"), _of(element, "driver", "type")
    path, slot = escaped(_of(element, "source", "file")), _of(element, "address", "slot")
    options = ",readonly=on" if element.find("readonly") is not None else ""
    # The header of an overlay names its backing file, and the overlay is our own.
    options += ",snapshot=on" if element.find("transient") is not None else ""
    return [
        *("-drive", f"if=none,id={name},format={form},file={path}{options}"),
        *("-device", f"virtio-blk-pci,drive={name},bus=pcie.0,addr={slot}"),
    ]


def _interface(element: Element) -> list[str]:
    # QEMU alone cannot make libvirt's bridge. A multicast group on loopback, one a network's name, needs
    # neither privilege nor a program of its own.
    name = hashlib.sha256(_of(element, "source", "network").encode()).digest()
    group = f"239.192.{name[0]}.{name[1]}:{0x8000 + int.from_bytes(name[2:4]) // 2}"
    mac, slot = _of(element, "mac", "address"), _of(element, "address", "slot")
    return [
        *("-netdev", f"socket,id=lab,mcast={group},localaddr=127.0.0.1"),
        *("-device", f"virtio-net-pci,netdev=lab,mac={mac},bus=pcie.0,addr={slot},romfile="),
    ]


def _serial(element: Element) -> list[str]:
    if element.attrib["type"] == "pty":
        return ["-serial", "mon:stdio"]
    return ["-serial", f"file:{_of(element, 'source', 'path')}"]


def _arguments(element: Element) -> list[str]:
    return [argument.attrib["value"] for argument in element]


def _of(element: Element, tag: str, attribute: str) -> str:
    (child,) = element.findall(tag)
    return child.attrib[attribute]


def _nothing(_element: Element) -> list[str]:
    return []  # QEMU does so by itself, or it is libvirt's alone


_PARTS: dict[str, Translator] = {
    "name": lambda element: ["-name", element.text or ""],
    "memory": lambda element: ["-m", f"{int(element.text or '') >> 20}M"],
    "vcpu": _vcpu,
    "cpu": _cpu,
    "os": _os,
    "sysinfo": _sysinfo,
    "devices": lambda element: [word for device in element for word in _translate(_DEVICES, device)],
    f"{{{QEMU_NAMESPACE}}}commandline": _arguments,
    f"{{{QEMU_NAMESPACE}}}capabilities": _nothing,
    "metadata": _nothing,
    "features": _nothing,
    "on_poweroff": _nothing,
    "on_reboot": _nothing,
    "on_crash": _nothing,
    "seclabel": _nothing,
}
_DEVICES: dict[str, Translator] = {
    "emulator": _nothing,  # it is the command itself
    "disk": _disk,
    "interface": _interface,
    "serial": _serial,
    "controller": _nothing,
    "memballoon": _nothing,
}
