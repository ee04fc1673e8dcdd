"""FAM as large as it gets, and on other file systems than /dev/shm's."""

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from leftovers import leftovers

from fame_lab import Lab, LabSpec
from fame_lab.spec.fam_layout import CONTROL_SIZE

pytestmark = pytest.mark.vm
NAME = f"limits-{os.getpid()}"
HUGE_PAGES = Path("/proc/sys/vm/nr_hugepages")
HUGE = 2 << 20


def limits(fam: str, path: Path | None = None) -> Lab:
    return Lab(LabSpec(NAME, nodes=1, fam=fam, fam_path=path), progress=False)


@pytest.mark.parametrize("fam", [pytest.param("32G", marks=pytest.mark.soak), "256G"])
def test_a_large_fam_lies_at_a_multiple_of_its_size_and_takes_up_what_is_touched(fam: str) -> None:
    with limits(fam) as lab:
        (node,) = lab.nodes
        output = node.run("lspci -v -s 00:09.0").stdout
        match = re.search(rf"Memory at (\w+) \(64-bit, prefetchable\) \[size={fam}\]", output)
        assert match, output
        # SeaBIOS puts it at the lowest address that is free; with QEMU 8.2 and newer, at the highest.
        address = int(match[1], 16)
        assert address >= 4 << 30 and address % lab.fam.size == 0
        # From its first byte to the last before the control area.
        last = lab.fam.control.offset - 8
        for offset, word in (
            (0, "first..."),
            (lab.fam.size // 2, "halfway."),
            (last, "last...."),
        ):
            node.probe("store", "--fam", "/dev/fam", "--offset", str(offset), word)
            assert lab.fam.read(offset, 8) == word.encode()
        assert lab.fam.allocated() <= CONTROL_SIZE + 4 * HUGE
    assert leftovers(NAME) == []


def works_on(path: Path, fam: str) -> None:
    """See that FAM works there, and leaves nothing."""
    with limits(fam, path) as lab:
        (node,) = lab.nodes
        node.probe("store", "--fam", "/dev/fam", "--offset", "8192", "from a node")
        assert bytes(lab.fam.array("u1", 8192, 11)) == b"from a node"
        lab.fam.write(12288, b"from the host")
        node.restart()
        (line,) = node.probe("load", "--fam", "/dev/fam", "--offset", "12288", "--size", "13")
        assert bytes(line["bytes"]) == b"from the host"
        assert not lab.probe("timer").failed
    assert leftovers(NAME) == []
    assert not path.exists()


def test_fam_on_a_disk() -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        Path(directory).chmod(0o755)
        works_on(Path(directory, "fam"), "4M")


@pytest.fixture
def huge_pages() -> Iterator[Path]:
    """A hugetlbfs with room for 8 MiB, if the kernel gives it."""
    if os.geteuid() != 0:
        pytest.skip("huge pages take root: they are set aside, and mounted")
    before = int(HUGE_PAGES.read_text())
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        HUGE_PAGES.write_text(str(before + 4))
        try:
            if int(HUGE_PAGES.read_text()) < before + 4:
                pytest.skip("the kernel has no four huge pages left")
            subprocess.run(["mount", "-t", "hugetlbfs", "-o", "mode=755", "none", directory], check=True)
            Path(directory).chmod(0o755)
            yield Path(directory)
            subprocess.run(["umount", directory], check=True)
        finally:
            HUGE_PAGES.write_text(str(before))


def test_fam_on_huge_pages(huge_pages: Path) -> None:
    works_on(huge_pages / "fam", "8M")
