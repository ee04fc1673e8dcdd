"""A seed for cloud-init (its NoCloud data source): a small disk that tells an image who it is to be."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Any

from fame_lab.guest.images.base import CONTROL_MAC, FAM_LINK, Identity, NodeNetwork, private_key, public_key

__all__ = ["documents", "iso"]

#: The label of cloud-init's disk: https://docs.cloud-init.io/en/latest/reference/datasources/nocloud.html
_LABEL = "CIDATA"
_LINK_PROGRAM = "/usr/local/sbin/fam-link"
# Wherever, and whenever, the device is plugged in.
_LINK_RULE = (
    f'SUBSYSTEM=="pci", ATTR{{vendor}}=="0x1af4", ATTR{{device}}=="0x1110", RUN+="/bin/sh {_LINK_PROGRAM}"\n'
)


def documents(identity: Identity) -> dict[str, str]:
    """Return the files of the seed: the node's name, its host key, its authorized key, and /dev/fam.

    Returns
    -------
    dict
        Contents by name. JSON, which YAML contains.
    """
    key, attachment = identity.host_key, identity.attachment
    hosts = [] if attachment is None else [_file("/etc/hosts", attachment.hosts_file, "0644")]
    user_data: dict[str, Any] = {
        "users": [],  # nobody besides root, who gets the key
        "disable_root": False,
        "ssh_pwauth": False,
        "ssh_authorized_keys": [identity.authorized_key.strip()],
        "ssh_deletekeys": True,
        "ssh_genkeytypes": [],
        "ssh_keys": {
            "ed25519_private": private_key(key).decode(),
            "ed25519_public": public_key(key).decode(),
        },
        "manage_etc_hosts": "localhost" if attachment is None else False,
        "write_files": [
            *hosts,
            _file(_LINK_PROGRAM, FAM_LINK.read_text(), "0755"),
            _file("/etc/udev/rules.d/60-fame.rules", _LINK_RULE, "0644"),
        ],
        "runcmd": [["sh", _LINK_PROGRAM]],
        # An emulated upgrade would take minutes, and the node does not reach a mirror.
        "package_update": False,
        "package_upgrade": False,
        "growpart": {"mode": "off"},
        "resize_rootfs": False,
        "locale": False,  # the image's own stays
    }
    files = {
        "meta-data": json.dumps({"instance-id": identity.node, "local-hostname": identity.node}),
        "user-data": "#cloud-config\n" + json.dumps(user_data, indent=1),
    }
    if attachment is not None:
        files["network-config"] = json.dumps(_network(attachment), indent=1)
    return files


def iso(files: Mapping[str, str]) -> bytes:
    """Return the files as an ISO 9660 file system with Rock Ridge and Joliet names."""
    import pycdlib  # a tenth of the time that a lab's import takes

    image = pycdlib.PyCdlib()
    image.new(interchange_level=3, vol_ident=_LABEL, rock_ridge="1.09", joliet=3)
    for number, (name, text) in enumerate(files.items()):
        content = text.encode()
        image.add_fp(
            io.BytesIO(content), len(content), f"/FILE{number}.;1", rr_name=name, joliet_path=f"/{name}"
        )
    buffer = io.BytesIO()
    image.write_fp(buffer)
    image.close()
    return buffer.getvalue()


def _network(attachment: NodeNetwork) -> dict[str, Any]:
    """Return both NICs for netplan, with the default route by the lab's own network where it has one."""
    if attachment.leased:
        lab: dict[str, Any] = {"dhcp4": True, "dhcp4-overrides": {"route-metric": 100}}
    else:
        prefix = IPv4Network(f"{attachment.address}/{attachment.netmask}", strict=False).prefixlen
        lab = {"addresses": [f"{attachment.address}/{prefix}"]}
    control = {"dhcp4": True, "dhcp4-overrides": {"route-metric": 1000}}
    ethernets = {
        "lab": lab | {"match": {"macaddress": attachment.mac}},
        "control": control | {"match": {"macaddress": CONTROL_MAC}},
    }
    return {"version": 2, "ethernets": ethernets}


def _file(path: str, content: str, mode: str) -> dict[str, str]:
    encoded = base64.b64encode(content.encode()).decode()
    return {"path": path, "encoding": "b64", "content": encoded, "permissions": mode, "owner": "root:root"}
