"""A spec read back from a domain in FAME's style: the kit's own, or one that somebody wrote.

A domain of FAME's has a stanza on QEMU's command line::

    -object memory-backend-file,mem-path=/home/rocky/FAME/FAM,size=32G,id=FAM,share=on
    -device ivshmem-plain,memdev=FAM

It may come from anywhere, so no value in it is expanded, followed or believed: a spec checks each.
"""

from __future__ import annotations

import itertools
import json
import re
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from fame_lab.core.sanitize import plain, quoted, shortened
from fame_lab.errors import SpecError
from fame_lab.host.libvirt.metadata import NAMESPACE, SPEC_NAMESPACE
from fame_lab.host.qemu import is_hosts
from fame_lab.spec.lab_spec import LabSpec
from fame_lab.spec.qemu_options import is_on, options, size

__all__ = ["spec_of"]

#: A domain as libvirt writes it has some 10 KiB.
MAX_TEXT = 1 << 20
_QEMU = "{http://libvirt.org/schemas/domain/qemu/1.0}"
_ACCELS = {"kvm": "kvm", "qemu": "tcg"}
#: libvirt's units, in lower case; without one it is KiB.
_UNITS: dict[str, int] = {"b": 1, "bytes": 1} | {
    name: size
    for power, letter in enumerate("kmgt", 1)
    for name, size in (
        (letter, 1 << 10 * power),
        (f"{letter}ib", 1 << 10 * power),
        (f"{letter}b", 1000**power),
    )
}
_FILE, _PLAIN = "memory-backend-file", "ivshmem-plain"
_NO_FILES = {
    "memory-backend-memfd": "memory without a name, which no other node can open",
    "memory-backend-ram": "memory of that QEMU alone",
    "memory-backend-shm": "memory without a name, which no other node can open",
    "memory-backend-epc": "memory of an enclave",
}
_WANTED = (
    "give QEMU -object memory-backend-file,mem-path=FILE,size=SIZE,id=FAM,share=on and "
    "-device ivshmem-plain,memdev=FAM by <qemu:commandline>"
)


def spec_of(text: str) -> LabSpec:
    """Read a spec from a domain's XML.

    Parameters
    ----------
    text : str
        At most 1 MiB, without a document type.

    Returns
    -------
    LabSpec
        Name, memory, vCPUs, accelerator, FAM and QEMU are the domain's; a QEMU in a distribution's place is
        ``auto``. Other fields are those of its fame_lab metadata, or default. Without metadata it is a lab of
        one node, with a name that is made from the domain's.

    Raises
    ------
    SpecError
        If it is no such domain, or no lab can be like it.
    """
    domain = _parse(text)
    fields, fam_path, accel, qemu = _metadata(domain)
    backend = _backend(domain)
    fields["memory"] = _memory(domain)
    fields["vcpus"] = _vcpus(domain)
    fam = size(backend.get("size"), "size of memory-backend-file")
    if fields.get("fam") != fam:
        fields |= {"fam": fam, "book": "auto"}
    if (path := backend.get("mem-path", "")) != fam_path:
        fields["fam_path"] = path
    if (kind := _ACCELS.get(domain.get("type", ""))) is None:
        raise SpecError(f"the domain's type is {quoted(domain.get('type'))}: only kvm and qemu have FAM")
    if kind != accel:
        fields["accel"] = kind
    if (emulator := (domain.findtext("devices/emulator") or "").strip()) != qemu:
        fields["qemu"] = "auto" if not emulator or is_hosts(emulator) else emulator
    return LabSpec.from_dict(fields)


def _parse(text: str) -> Element:
    if not isinstance(text, str):
        raise SpecError(f"a domain is given as {type(text).__name__}", hint="give its XML as a str")
    if len(text) > MAX_TEXT:
        raise SpecError(f"a domain of {len(text)} characters: {MAX_TEXT} are the most that is read")
    try:
        domain: Element = fromstring(text, forbid_dtd=True)
    except DefusedXmlException as error:
        raise SpecError(f"the XML has a document type or entities, which no domain needs: {error}") from error
    except (ParseError, ValueError) as error:
        raise SpecError(f"not XML: {error}", hint="give what `virsh dumpxml` writes") from error
    if domain.tag != "domain":
        raise SpecError(f"the XML is a <{domain.tag}>", hint="give a <domain>, as `virsh dumpxml` writes it")
    return domain


def _metadata(domain: Element) -> tuple[dict[str, Any], str | None, str | None, str]:
    """Return the fields of the kit's metadata, and its FAM, accelerator and QEMU when it wrote the domain."""
    for tag in (f"{{{SPEC_NAMESPACE}}}spec", f"{{{NAMESPACE}}}node"):
        if (element := domain.find(f"metadata/{tag}")) is None:
            continue
        try:
            fields = LabSpec.from_dict(json.loads(element.text or "")).to_dict()
        except (TypeError, ValueError, AttributeError, RecursionError) as error:
            raise SpecError(
                f"the domain's fame_lab metadata cannot be read: {error}", hint="leave them out"
            ) from error
        return fields, element.get("fam"), element.get("accelerator"), element.get("qemu", "")
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", (domain.findtext("name") or "").strip())[:32].strip("-_")
    return {"name": name, "nodes": 1}, None, None, ""


def _backend(domain: Element) -> dict[str, Any]:
    """Return the options of the file behind the domain's one ivshmem device."""
    objects, devices = _commandline(domain)
    _check_devices(domain, devices)
    name = devices[0].get("memdev")
    backends = [each for each in objects if each.get("id") == name]
    if not backends:
        raise SpecError(f"memdev is {quoted(name)}, and no -object of the domain has that id: {_WANTED}")
    backend = backends[-1]
    if (kind := backend.get("qom-type")) != _FILE:
        why = _NO_FILES.get(str(kind), "which is no file")
        raise SpecError(f"FAM is a {shortened(str(kind), 60)}, {why}: {_WANTED}")
    if not is_on(backend.get("share", "off"), "share"):
        raise SpecError(
            f"FAM's memory-backend-file has no share=on, so each node would have its own: {_WANTED}"
        )
    if is_on(backend.get("readonly", "off"), "readonly"):
        raise SpecError(f"FAM's memory-backend-file is readonly, so no node could store: {_WANTED}")
    if size(backend.get("offset", 0), "offset of memory-backend-file"):
        raise SpecError(
            f"FAM begins at offset {quoted(backend['offset'])} of its file, and a lab's at its start: "
            f"{_WANTED}"
        )
    return backend


def _commandline(domain: Element) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the objects and the shared-memory devices of QEMU's own arguments."""
    values = [argument.get("value", "") for argument in domain.findall(f"{_QEMU}commandline/{_QEMU}arg")]
    objects, devices = [], []
    for flag, text in itertools.pairwise(values):
        match flag.replace("--", "-", 1):
            case "-object":
                objects.append(options(text, "qom-type"))
            case "-device":
                devices.append(options(text, "driver"))
    return objects, [each for each in devices if str(each.get("driver")).startswith("ivshmem")]


def _check_devices(domain: Element, devices: list[dict[str, Any]]) -> None:
    """Raise SpecError unless there is one device, of a kind that can show FAM."""
    kinds = [plain(str(each["driver"])[:60], keep="") for each in devices]
    own = [shortened(each.get("name", ""), 60) for each in domain.findall("devices/shmem")]
    if len(kinds) == 1 and not own and kinds[0] == _PLAIN:
        return
    every = [*kinds, *(f"<shmem name={name}>" for name in own)]
    if not every:
        raise SpecError(f"the domain has no {_PLAIN} device: {_WANTED}")
    if len(every) > 1:
        raise SpecError(
            f"the domain has {len(every)} devices of shared memory ({', '.join(every[:5])}), where FAM is "
            f"one: {_WANTED}"
        )
    why = (
        "libvirt's own shared memory, which it alone places and ends with its domains"
        if own
        else "whose memory and interrupts come from an ivshmem-server"
        if kinds[0] == "ivshmem-doorbell"
        else f"and no {_PLAIN}"
    )
    raise SpecError(f"the domain has {every[0]}, {why}: {_WANTED}")


def _memory(domain: Element) -> int:
    element = domain.find("memory")
    number, unit = ("", "") if element is None else (element.text or "", element.get("unit", "KiB"))
    if not re.fullmatch(r"[0-9]{1,20}", number.strip(), re.ASCII) or unit.lower() not in _UNITS:
        raise SpecError(
            f"the domain's memory is {quoted(number)} of unit {quoted(unit)}",
            hint="give <memory unit='MiB'>128</memory>",
        )
    return int(number) * _UNITS[unit.lower()]


def _vcpus(domain: Element) -> int:
    element = domain.find("vcpu")
    number = "1" if element is None else element.get("current") or element.text or ""
    if not re.fullmatch(r"[0-9]{1,9}", number.strip(), re.ASCII):
        raise SpecError(f"the domain's vcpu is {quoted(number)}", hint="give a whole number")
    return int(number)
