"""A spec read back from a domain in FAME's style: the kit's own, or one that somebody wrote.

What makes a domain one of FAME's is a stanza on QEMU's command line::

    -object memory-backend-file,mem-path=/home/rocky/FAME/FAM,size=32G,id=FAM,share=on
    -device ivshmem-plain,memdev=FAM

It may come from anywhere, so nothing in it is expanded, followed or believed: a spec checks each value.
"""

from __future__ import annotations

import itertools
import json
import re
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from fame_lab.errors import SpecError
from fame_lab.host.qemu import is_hosts
from fame_lab.host.record import NAMESPACE, SPEC_NAMESPACE
from fame_lab.size import parse_size
from fame_lab.spec import LabSpec

__all__ = ["spec_of"]

#: A domain as libvirt writes it has some 10 KiB.
MOST_TEXT = 1 << 20
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
        Name, memory, vCPUs, accelerator, FAM and QEMU are the domain's (where distributions have theirs,
        ``auto``). What it cannot tell is as its fame_lab
        metadata say, or by default; without them it is a lab of one node, with a name that is made of the
        domain's.

    Raises
    ------
    SpecError
        If it is no such domain, or no lab can be like it.
    """
    domain = _parsed(text)
    told, fam_path, accel, qemu = _metadata(domain)
    backend = _backend(domain)
    told["memory"] = _memory(domain)
    told["vcpus"] = _vcpus(domain)
    size = parse_size(backend.get("size", ""), "size of memory-backend-file")
    if told.get("fam") != size:
        told |= {"fam": size, "book": "auto"}
    if backend.get("mem-path", "") != fam_path:
        told["fam_path"] = backend.get("mem-path", "")
    if (kind := _ACCELS.get(domain.get("type", ""))) is None:
        raise SpecError(f"the domain's type is {domain.get('type')!r}: only kvm and qemu have FAM")
    if kind != accel:
        told["accel"] = kind
    if (emulator := (domain.findtext("devices/emulator") or "").strip()) != qemu:
        told["qemu"] = "auto" if not emulator or is_hosts(emulator) else emulator
    return LabSpec.from_dict(told)


def _parsed(text: str) -> Element:
    if not isinstance(text, str):
        raise SpecError(f"a domain is given as {type(text).__name__}: give its XML as a str")
    if len(text) > MOST_TEXT:
        raise SpecError(f"a domain of {len(text)} characters: {MOST_TEXT} are the most that is read")
    try:
        domain: Element = fromstring(text, forbid_dtd=True)
    except DefusedXmlException as error:
        raise SpecError(f"the XML has a document type or entities, which no domain needs: {error}") from error
    except (ParseError, ValueError) as error:
        raise SpecError(f"not XML: {error}; give what `virsh dumpxml` writes") from error
    if domain.tag != "domain":
        raise SpecError(f"the XML is a <{domain.tag}>: give a <domain>, as `virsh dumpxml` writes it")
    return domain


def _metadata(domain: Element) -> tuple[dict[str, Any], str | None, str | None, str]:
    """Return the fields that the kit noted, and which FAM, accelerator and QEMU it wrote the domain for."""
    for tag in (f"{{{SPEC_NAMESPACE}}}spec", f"{{{NAMESPACE}}}node"):
        if (noted := domain.find(f"metadata/{tag}")) is None:
            continue
        try:
            fields = LabSpec.from_dict(json.loads(noted.text or "")).to_dict()
        except (TypeError, ValueError, AttributeError, RecursionError) as error:
            raise SpecError(
                f"the domain's fame_lab metadata cannot be read: {error}; leave them out"
            ) from error
        return fields, noted.get("fam"), noted.get("accelerator"), noted.get("qemu", "")
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", (domain.findtext("name") or "").strip())[:32].strip("-_")
    return {"name": name, "nodes": 1}, None, None, ""


def _backend(domain: Element) -> dict[str, str]:
    """Find the options of the file that the domain's one ivshmem device shows."""
    values = [argument.get("value", "") for argument in domain.findall(f"{_QEMU}commandline/{_QEMU}arg")]
    given: dict[str, list[dict[str, str]]] = {"-object": [], "-device": []}
    for flag, options in itertools.pairwise(values):
        if (kind := flag.replace("--", "-", 1)) in given:
            given[kind].append(_options(options))
    backends = {each.get("id"): each for each in given["-object"] if each[""] == "memory-backend-file"}
    shown = [each.get("memdev") for each in given["-device"] if each[""] == "ivshmem-plain"]
    found = [backends[name] for name in shown if name in backends]
    if len(shown) != 1 or not found:
        raise SpecError(
            f"the domain has {len(shown)} ivshmem-plain devices, {len(found)} of them of a file, "
            f"where FAM is one: {_WANTED}"
        )
    if found[0].get("share") not in ("on", "yes", "true", "y"):
        raise SpecError(
            f"FAM's memory-backend-file has no share=on, so each node would have its own: {_WANTED}"
        )
    return found[0]


def _options(text: str) -> dict[str, str]:
    """Part QEMU's ``kind,key=value,…``, where two commas are one that is meant; the kind is under ``""``."""
    kind, *pairs = (part.replace("\0", ",") for part in text.replace(",,", "\0").split(","))
    return {"": kind} | {key: value for key, _, value in (pair.partition("=") for pair in pairs)}


def _memory(domain: Element) -> int:
    element = domain.find("memory")
    number, unit = ("", "") if element is None else (element.text or "", element.get("unit", "KiB"))
    if not re.fullmatch(r"[0-9]{1,20}", number.strip(), re.ASCII) or unit.lower() not in _UNITS:
        raise SpecError(
            f"the domain's memory is {number!r} of unit {unit!r}: give <memory unit='MiB'>128</memory>"
        )
    return int(number) * _UNITS[unit.lower()]


def _vcpus(domain: Element) -> int:
    element = domain.find("vcpu")
    number = "1" if element is None else element.get("current") or element.text or ""
    if not re.fullmatch(r"[0-9]{1,9}", number.strip(), re.ASCII):
        raise SpecError(f"the domain's vcpu is {number!r}: give a whole number")
    return int(number)
