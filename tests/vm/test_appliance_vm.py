import json
import re
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from raw_vm import RawVM, booted

from fame_lab.core.sizes import format_size
from fame_lab.guest.images import appliance
from fame_lab.guest.images.appliance import Appliance


@pytest.fixture(scope="module")
def image() -> Appliance:
    return appliance.ensure()


@pytest.fixture(scope="module")
def guest(image: Appliance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RawVM]:
    with booted(image, tmp_path_factory.mktemp("guest"), fam="32G") as vm:
        yield vm


@pytest.mark.vm
def test_a_node_has_its_own_name(guest: RawVM) -> None:
    assert guest.run("hostname") == "node07\n"


@pytest.mark.vm
def test_lspci_shows_fam_as_the_background_text_does(guest: RawVM) -> None:
    # Its name is pci.ids', which Debian 13 words in another way; the device is known by its ids.
    assert guest.run("lspci -n -s 00:09.0") == "00:09.0 0500: 1af4:1110 (rev 01)\n"
    assert guest.run("setpci -s 00:09.0 2c.l") == "11001af4\n"
    output = guest.run("lspci -v -s 00:09.0")
    assert re.match(r"00:09\.0 RAM memory: Red Hat, Inc\. (QEMU )?Inter-VM shared memory", output)
    assert "(32-bit, non-prefetchable) [size=256]" in output
    # QEMU 7.2 has it at 800000000, as in the background text; newer firmware elsewhere.
    assert re.search(r"Memory at \w+ \(64-bit, prefetchable\) \[size=32G\]", output)
    # Debian 13's kernel has that driver built in.
    built_in = guest.run("cat /lib/modules/*/modules.builtin").count("/virtio_pci.ko")
    assert output.count("Kernel modules: virtio_pci") == 1 - built_in


@pytest.mark.vm
def test_dev_fam_is_the_shared_file(guest: RawVM) -> None:
    offset, value = 4096, 0x1122334455667788
    with guest.fam.open("r+b") as file:
        file.seek(64)
        file.write((42).to_bytes(8, "little"))
    fields = json.loads(
        guest.run(f"fame-probe prove --fam /dev/fam --size {32 << 30} --read 64 --write {offset} {value}")
    )
    assert int(fields["read"], 0) == 42
    with guest.fam.open("rb") as file:
        file.seek(offset)
        assert int.from_bytes(file.read(8), "little") == value


@pytest.mark.vm
def test_fam_link_finds_the_device_again(guest: RawVM) -> None:
    target = guest.run("rm /dev/fam; fam-link; readlink /dev/fam")
    assert target == "/sys/bus/pci/devices/0000:00:09.0/resource2\n"


@pytest.mark.vm
def test_a_wrong_key_is_refused(guest: RawVM) -> None:
    with pytest.raises(paramiko.AuthenticationException), guest.login(Ed25519PrivateKey.generate()):
        pass


@pytest.mark.vm
@pytest.mark.parametrize("password", ["", "root", "*"])
def test_no_password_is_taken(guest: RawVM, password: str) -> None:
    with guest.login(guest.client_key) as known, paramiko.Transport(("127.0.0.1", guest.port)) as transport:
        assert known.is_authenticated()
        transport.start_client(timeout=60)
        with pytest.raises(paramiko.BadAuthenticationType):
            transport.auth_password("root", password)


@pytest.mark.vm
def test_the_node_shows_the_labs_host_key(guest: RawVM) -> None:
    with guest.login(guest.client_key) as transport:
        key = transport.get_remote_server_key().asbytes()
    assert key.endswith(guest.host_key.public_key().public_bytes_raw())


@pytest.mark.vm
def test_the_usual_file_systems_are_there(guest: RawVM) -> None:
    mounted = {line.split()[2] for line in guest.run("mount").splitlines()}
    assert {"/dev", "/proc", "/sys", "/dev/pts", "/sys/kernel/debug"} <= mounted
    assert guest.run("touch /tmp/x && stat -c %a /tmp") == "1777\n"


@pytest.mark.vm
def test_what_it_is_said_to_need_is_enough_memory(image: Appliance, tmp_path: Path) -> None:
    with booted(image, tmp_path, memory=format_size(image.least_memory(1))) as vm:
        assert "Mem:" in vm.run("free -m")
        assert vm.run("lspci -s 00:09.0").startswith("00:09.0 ")
