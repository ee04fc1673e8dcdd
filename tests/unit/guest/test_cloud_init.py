import io
import json

import pycdlib
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from fame_lab.guest.images import cloud_init
from fame_lab.guest.images.base import Identity

IDENTITY = Identity("node07", "ssh-ed25519 AAAA lab\n", Ed25519PrivateKey.generate())


def user_data() -> dict[str, object]:
    first, _, rest = cloud_init.documents(IDENTITY)["user-data"].partition("\n")
    assert first == "#cloud-config"
    fields: dict[str, object] = json.loads(rest)
    return fields


def test_the_node_gets_its_name() -> None:
    fields = json.loads(cloud_init.documents(IDENTITY)["meta-data"])
    assert fields == {"instance-id": "node07", "local-hostname": "node07"}


def test_root_alone_may_log_in_and_by_the_labs_key_alone() -> None:
    fields = user_data()
    assert fields["users"] == []
    assert fields["disable_root"] is False
    assert fields["ssh_pwauth"] is False
    assert fields["ssh_authorized_keys"] == ["ssh-ed25519 AAAA lab"]


def test_the_node_shows_its_own_key_and_no_other() -> None:
    fields = user_data()
    keys = fields["ssh_keys"]
    assert isinstance(keys, dict)
    private = load_ssh_private_key(keys["ed25519_private"].encode(), None)
    assert isinstance(private, Ed25519PrivateKey)
    assert private.private_bytes_raw() == IDENTITY.host_key.private_bytes_raw()
    assert fields["ssh_genkeytypes"] == []


def test_cloud_init_finds_its_files_on_the_disk_by_its_label() -> None:
    image = pycdlib.PyCdlib()
    files = cloud_init.documents(IDENTITY)
    image.open_fp(io.BytesIO(cloud_init.iso(files)))
    assert image.pvd.volume_identifier.strip() == b"CIDATA"
    for name, text in files.items():
        for kind in ("rr_path", "joliet_path"):
            buffer = io.BytesIO()
            image.get_file_from_iso_fp(buffer, **{kind: f"/{name}"})
            assert buffer.getvalue().decode() == text
    image.close()
