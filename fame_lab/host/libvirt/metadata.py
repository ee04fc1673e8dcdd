"""A lab's metadata in each of its domains: state that cannot go stale."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal
from xml.etree import ElementTree

from fame_lab.core.sanitize import plain, shortened
from fame_lab.errors import LabError
from fame_lab.guest.images.base import TEMPLATE
from fame_lab.host.qemu import Qemu
from fame_lab.spec.lab_spec import LabSpec

__all__ = ["NAMESPACE", "SPEC_NAMESPACE", "TEMPLATE_NAMESPACE", "NodeRecord", "TemplateRecord"]

NAMESPACE = "urn:fame_lab:node:1"
TEMPLATE_NAMESPACE = "urn:fame_lab:template:1"
#: Namespace of an exported domain's metadata: another one, for no lab has the domain, and none ends it.
SPEC_NAMESPACE = "urn:fame_lab:spec:1"
ElementTree.register_namespace("fame", NAMESPACE)
ElementTree.register_namespace("fame-spec", SPEC_NAMESPACE)


@dataclass(frozen=True)
class NodeRecord:
    """One node's share of the lab's description.

    Parameters
    ----------
    spec : LabSpec
    index : int
        The node's number, from 0.
    fam_path : str
        The path of FAM's file.
    fam_identity : tuple of int
        Device and inode of the file.
    fam_created : bool
        Whether the lab made the file, and so removes it.
    accelerator : {"kvm", "tcg"}
    accelerator_reason : str
        The reason for the accelerator.
    image : str
        Digest of the node's image.
    start : {"cold", "template"}
        The mode of the node's start.
    start_reason : str
        The reason for that mode.
    run : str
        Token of the report run that started the lab; empty for a person's.
    notebook : str
        Token of the notebook that started it, see :func:`fame_lab.core.kernel_env.this_notebook`; empty for
        none.
    qemu : Qemu, optional
        The QEMU that the node was started in; unknown of an exported node.
    """

    namespace: ClassVar[str] = NAMESPACE

    spec: LabSpec
    index: int
    fam_path: str
    fam_identity: tuple[int, int]
    fam_created: bool
    accelerator: Literal["kvm", "tcg"]
    accelerator_reason: str
    image: str
    start: Literal["cold", "template"] = "cold"
    start_reason: str = ""
    run: str = ""
    notebook: str = ""
    qemu: Qemu | None = None

    @property
    def node(self) -> str:
        """The node's name."""
        return self.spec.node_names[self.index]

    @property
    def emulator(self) -> str:
        """The QEMU that the domain names; empty for libvirt's own choice."""
        if self.spec.qemu == "auto":
            return ""
        return str(self.spec.qemu if self.qemu is None else self.qemu.path)

    def to_element(self) -> ElementTree.Element:
        """Return the metadata element."""
        device, inode = self.fam_identity
        element = ElementTree.Element(
            f"{{{self.namespace}}}node",
            {
                "lab": self.spec.name,
                "index": str(self.index),
                "fam": self.fam_path,
                "fam-device": str(device),
                "fam-inode": str(inode),
                "fam-created": "yes" if self.fam_created else "no",
                "accelerator": self.accelerator,
                "reason": _for_xml(self.accelerator_reason),
                "image": self.image,
                "start": self.start,
                "start-reason": _for_xml(self.start_reason),
                "run": _for_xml(self.run),
                "notebook": _for_xml(self.notebook),
            },
        )
        if self.qemu is not None:
            element.set("qemu", str(self.qemu.path))
            element.set("qemu-version", str(self.qemu.version))
            element.set("qemu-packaged", _for_xml(self.qemu.packaged))
        element.text = self.spec.to_json()
        return element

    def to_exported_element(self) -> ElementTree.Element:
        """Return an exported domain's metadata: the spec, with its FAM, accelerator and QEMU."""
        attributes = {"fam": self.fam_path, "accelerator": self.accelerator, "qemu": self.emulator}
        element = ElementTree.Element(f"{{{SPEC_NAMESPACE}}}spec", attributes)
        element.text = self.spec.to_json()
        return element

    def to_xml(self) -> str:
        """Return the metadata element as text."""
        return ElementTree.tostring(self.to_element(), encoding="unicode")

    @classmethod
    def from_xml(cls, text: str) -> NodeRecord:
        """Read a metadata element.

        Raises
        ------
        LabError
            If another version wrote it.
        """
        try:
            element = ElementTree.fromstring(text)  # noqa: S314 - libvirt keeps it, no guest can write it
            spec = LabSpec.from_dict(json.loads(element.text or ""))
            index = int(element.attrib["index"])
            accelerator = element.attrib["accelerator"]
            if not 0 <= index < spec.nodes or accelerator not in ("kvm", "tcg"):
                raise ValueError(f"node {index} of {spec.nodes} under {accelerator!r}")
            return cls(
                spec=spec,
                index=index,
                fam_path=element.attrib["fam"],
                fam_identity=(int(element.attrib["fam-device"]), int(element.attrib["fam-inode"])),
                fam_created=element.attrib["fam-created"] == "yes",
                accelerator="kvm" if accelerator == "kvm" else "tcg",
                accelerator_reason=element.attrib["reason"],
                image=element.attrib["image"],
                start="template" if element.attrib.get("start") == "template" else "cold",
                start_reason=element.attrib.get("start-reason", ""),
                run=element.attrib["run"],
                notebook=element.attrib.get("notebook", ""),
                qemu=_qemu(element),
            )
        except (ElementTree.ParseError, LookupError, TypeError, ValueError, RecursionError) as error:
            raise LabError(
                f"a domain's fame_lab metadata cannot be read: {shortened(str(error))}",
                hint="was it of another version?",
            ) from error


class TemplateRecord(NodeRecord):
    """The metadata of a template's domain: in another namespace, so that no search finds it as a node."""

    namespace: ClassVar[str] = TEMPLATE_NAMESPACE

    @property
    def node(self) -> str:
        """Its name, in place of a node's."""
        return TEMPLATE


def _qemu(element: ElementTree.Element) -> Qemu | None:
    if (path := element.get("qemu")) is None:
        return None  # a lab of a version that did not record it
    version = int(element.attrib["qemu-version"])
    return Qemu(Path(path), version, element.attrib.get("qemu-packaged", ""))


def _for_xml(text: str) -> str:
    """Replace control characters, which XML cannot hold, by their codes."""
    return plain(text, keep="")
