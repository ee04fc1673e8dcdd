"""What each domain carries about its lab in libvirt's metadata: state that cannot go stale."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree

from fame_lab.errors import LabError
from fame_lab.quoting import plain, shortened
from fame_lab.spec import LabSpec

__all__ = ["NAMESPACE", "NodeRecord"]

NAMESPACE = "urn:fame_lab:node:1"
_TAG = f"{{{NAMESPACE}}}node"
ElementTree.register_namespace("fame", NAMESPACE)


@dataclass(frozen=True)
class NodeRecord:
    """One node's share of the lab's description.

    Parameters
    ----------
    spec : LabSpec
    index : int
        The node's number, from 0.
    fam_path : str
        Where FAM lies.
    fam_identity : tuple of int
        Device and inode of the file.
    fam_created : bool
        Whether the lab made the file, and so takes it away.
    accelerator : {"kvm", "tcg"}
    accelerator_reason : str
        Why it was chosen.
    image : str
        Digest of what the node booted.
    run : str
        Token of the report run that started the lab; empty for a person's.
    notebook : str
        Token of the notebook that started it, see :func:`fame_lab.notebook.this_notebook`; empty for none.
    """

    spec: LabSpec
    index: int
    fam_path: str
    fam_identity: tuple[int, int]
    fam_created: bool
    accelerator: Literal["kvm", "tcg"]
    accelerator_reason: str
    image: str
    run: str = ""
    notebook: str = ""

    @property
    def node(self) -> str:
        """The node's name."""
        return self.spec.node_names[self.index]

    def to_element(self) -> ElementTree.Element:
        """Give the metadata element."""
        device, inode = self.fam_identity
        element = ElementTree.Element(
            _TAG,
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
                "run": _for_xml(self.run),
                "notebook": _for_xml(self.notebook),
            },
        )
        element.text = self.spec.to_json()
        return element

    def to_xml(self) -> str:
        """Give the metadata element as text."""
        return ElementTree.tostring(self.to_element(), encoding="unicode")

    @classmethod
    def from_xml(cls, text: str) -> NodeRecord:
        """Read a metadata element.

        Raises
        ------
        LabError
            If it is not one that this version wrote.
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
                run=element.attrib["run"],
                notebook=element.attrib.get("notebook", ""),
            )
        except (ElementTree.ParseError, LookupError, TypeError, ValueError, RecursionError) as error:
            raise LabError(
                f"a domain's fame_lab metadata cannot be read: {shortened(str(error))}; "
                "was it of another version?"
            ) from error


def _for_xml(text: str) -> str:
    """Show as their codes what XML cannot hold: control characters, of a console or an environment."""
    return plain(text, keep="")
