"""The forms in which a spec leaves Python and comes back: a dict, JSON, TOML, XML, command lines."""

from __future__ import annotations

import json
from dataclasses import Field, asdict, fields
from pathlib import Path
from typing import Any, ClassVar, Self

from fame_lab.core import above
from fame_lab.core.paths import given_path
from fame_lab.core.sanitize import quoted
from fame_lab.errors import SpecError
from fame_lab.spec.subnet import Subnet
from fame_lab.spec.validation import for_field

__all__ = ["SpecForms"]


class SpecForms:
    """A spec written and read; :class:`fame_lab.LabSpec` has its fields."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, sizes in bytes."""
        values = asdict(self)
        return values | {"fam_path": None if values["fam_path"] is None else str(values["fam_path"])}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Create a spec from the values of :meth:`to_dict`.

        Parameters
        ----------
        values : dict
            By the field's name.

        Returns
        -------
        LabSpec

        Raises
        ------
        SpecError
            If a field is unknown, missing or wrong.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(values, dict):
            raise SpecError(f"{quoted(values)} is no LabSpec", hint=f"it must be a dict of {sorted(names)}")
        if unknown := [quoted(field) for field in values if field not in names]:
            raise SpecError(f"unknown fields {', '.join(unknown[:5])}: a LabSpec has {sorted(names)}")
        if "name" not in values:
            raise SpecError("a LabSpec needs a name")
        network = values.get("network", "user")
        if "subnet" in values and isinstance(network, str) and network == "user":
            # A spec of an earlier release, or of a sweep over networks, may have one without use.
            with for_field("subnet"):
                Subnet.parse(values["subnet"])
            values = {field: value for field, value in values.items() if field != "subnet"}
        return cls(**values)

    def to_json(self) -> str:
        """Return the fields as JSON on one line."""
        return json.dumps(self.to_dict())

    def to_toml(self) -> str:
        """Return the fields as TOML, for :meth:`from_toml` and ``fame-lab up --spec``."""
        text: str = above.load("toml").to_toml(self)
        return text

    @classmethod
    def from_toml(cls, text: str) -> Self:
        r"""Read fields as TOML; a missing field has its default.

        Parameters
        ----------
        text : str

        Returns
        -------
        LabSpec

        Raises
        ------
        SpecError
            If it is not TOML, or a field is unknown, missing or wrong.

        Examples
        --------
        >>> from fame_lab import LabSpec
        >>> LabSpec.from_toml('name = "demo"\nfam = "1G"').nodes
        2
        """
        spec: Self = above.load("toml").from_toml(text)
        return spec

    def to_xml(self, *, ssh_port: int = 2201) -> dict[str, str]:
        """Return each node as libvirt's XML, to live without the kit: ``virsh define``, ``virsh start``.

        Nothing is written or started. The nodes boot the image in the cache, which is built if need be. Their
        FAM is at `fam_path`, or /dev/shm/fame-NAME.fam, and QEMU makes it if it is missing. Root's shell is
        on the serial line (``virsh console``). SSH takes keys: see :meth:`export`.

        Parameters
        ----------
        ssh_port : int
            The port of 127.0.0.1 that leads to the first node's SSH server, and so on for the others.

        Returns
        -------
        dict of str to str
            XML by the node's name, in order; before them, with ``network="libvirt"``, that of the network as
            ``network``. With ``accel="auto"`` it asks for KVM if that works here. ``accel="kvm"`` is not
            tried, for the XML may be for another host.

        Raises
        ------
        SpecError
            If `trace` is set, which takes a lab; or if FAM cannot be of that size under the accelerator.
        HostError
            If the image cannot be built.
        """
        domains: dict[str, str] = above.load("export").to_xml(self, ssh_port=ssh_port)
        return domains

    def to_qemu_args(self, *, ssh_port: int = 2201) -> dict[str, list[str]]:
        """Return each node as QEMU's own command line: the same as :meth:`to_xml`, without libvirt.

        Parameters
        ----------
        ssh_port : int
            See :meth:`to_xml`.

        Returns
        -------
        dict of str to list of str
            Program and arguments by the node's name; :func:`shlex.join` makes a shell's line of them. The
            serial line, with root's shell and QEMU's monitor (Ctrl-A C), is on stdin and stdout.
            With ``network="libvirt"`` the nodes alone reach each other, by a multicast group on loopback.
        """
        commands: dict[str, list[str]] = above.load("export").to_qemu_args(self, ssh_port=ssh_port)
        return commands

    def export(self, directory: str | Path, *, ssh_port: int = 2201) -> Path:
        """Write a folder with all that the nodes need: XML, shell scripts, kernel, fresh keys, a README.

        Parameters
        ----------
        directory : str or Path
            It must not exist yet.
        ssh_port : int
            See :meth:`to_xml`.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        SpecError
            If the directory exists; see also :meth:`to_xml`.
        HostError
            If it cannot be written. Nothing is left then.
        """
        path = given_path("directory", directory)
        folder: Path = above.load("export_folder").write(self, path, ssh_port=ssh_port)
        return folder

    @classmethod
    def from_xml(cls, text: str) -> Self:
        """Read a domain in FAME's style; see :func:`fame_lab.host.libvirt.domain_import.spec_of`.

        Parameters
        ----------
        text : str
            XML of a libvirt domain.

        Returns
        -------
        LabSpec

        Raises
        ------
        SpecError
            If it is no such domain, or no lab can be like it.
        """
        spec: Self = above.load("domain_import").spec_of(text)
        return spec
