"""What memory a kernel and an initramfs are said to need, and that a node comes up with it."""

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fame_lab import Lab, LabSpec
from fame_lab.core.sizes import MIB, parse_size
from fame_lab.errors import SpecError
from fame_lab.guest.images import appliance, cpio


@pytest.fixture
def large() -> Iterator[Path]:
    """The appliance with 30 MiB more in its initramfs, as an image of the user's."""
    image = appliance.ensure()
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        directory.chmod(0o755)  # QEMU's user may not pass pytest's own
        (directory / "kernel").write_bytes(image.kernel.read_bytes())
        more = cpio.archive({"large": cpio.file(os.urandom(30 * MIB))})
        packed = image.initrd.read_bytes()
        (directory / "initrd").write_bytes(packed + bytes(-len(packed) % 4) + more)
        yield directory


@pytest.mark.vm
def test_memory_too_small_for_an_image_is_refused_and_the_least_that_is_named_comes_up(large: Path) -> None:
    name = f"least-{os.getpid()}"
    with pytest.raises(SpecError, match=r"needs \d+M to come up") as caught:
        Lab(LabSpec(name, nodes=1, fam="1M", image=str(large), memory="128M"), progress=False).start()
    assert caught.value.field == "memory"
    named = re.search(r"give memory='(\w+)'", str(caught.value))
    assert named
    with Lab(LabSpec(name, nodes=1, fam="1M", image=str(large), memory=named[1]), progress=False) as lab:
        assert lab.nodes[0].run("stat -c %s /large").stdout.strip() == str(30 * MIB)
    assert parse_size(named[1], "memory") < 240 * MIB  # not far from the least


@pytest.mark.soak
@pytest.mark.vm
def test_the_appliance_comes_up_with_the_least_that_it_is_said_to_need() -> None:
    least = appliance.ensure().least_memory(1)
    spec = LabSpec(f"least-{os.getpid()}", nodes=1, fam="1M", memory=max(least, 96 * MIB))
    with Lab(spec, progress=False) as lab:
        assert lab.nodes[0].run("echo up").stdout == "up\n"
