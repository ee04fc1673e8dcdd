"""Guests of older and newer Debian releases boot on this host's QEMU, and on that of its backports."""

import os
import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from other_guest import guest_of

from fame_lab import Lab, LabSpec

pytestmark = pytest.mark.vm
OWN = platform.freedesktop_os_release().get("VERSION_CODENAME")


#: The host's own release is the guest in every other test.
RELEASES = [
    pytest.param(each, marks=[pytest.mark.soak] if each == OWN else []) for each in ("bookworm", "trixie")
]


@pytest.fixture(scope="module", params=RELEASES)
def guest(request: pytest.FixtureRequest) -> Iterator[tuple[Path, str]]:
    with tempfile.TemporaryDirectory() as place:  # QEMU's user may not pass pytest's own
        Path(place).chmod(0o755)
        yield Path(place), guest_of(request.param, Path(place))


def test_a_guest_of_another_release_boots(guest: tuple[Path, str], qemu: str) -> None:
    image, version = guest
    # With `fsrm` and without `erms`, Linux 6.1 hangs before /init on QEMU 8.1 and newer.
    spec = LabSpec(f"kernel-{os.getpid()}", nodes=1, fam="1M", image=str(image), accel="tcg", qemu=qemu)
    with Lab(spec, progress=False) as lab:
        assert lab.nodes[0].run("uname -r").stdout.strip() == version
        flags = lab.nodes[0].run("grep -m1 ^flags /proc/cpuinfo").stdout.split()
        assert not {"erms", "fsrm"} & set(flags)
