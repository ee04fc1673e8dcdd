import datetime
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fame_lab.errors import LabError, SpecError
from fame_lab.guest.images import catalog, debian_build
from fame_lab.guest.images import debian as disk_image


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FAME_LAB_CACHE", str(tmp_path))
    return tmp_path


def make_image(cache: Path, name: str, packages: Sequence[str] = (), when: str = "2026-01-01") -> str:
    """Write an image into the cache as a build would, without a disk in it, and return its digest."""
    digest = disk_image._digest(name, tuple(packages))
    if when < "2026":
        digest = digest[::-1]  # of an older version of the kit
    directory = cache / "images" / name / digest
    directory.mkdir(parents=True)
    (directory / "disk.qcow2").write_bytes(b"x")
    fields = {"kernel_release": "6.1.0", "packages": packages, "installed": {"gcc": "12"}, "built": when}
    record = directory / "image.json"
    record.write_text(json.dumps(fields))
    os.utime(record, ns=(0, datetime.datetime.fromisoformat(when).toordinal()))
    return digest


def old_appliance(cache: Path) -> str:
    directory = cache / "appliance" / "0123456789abcdef"
    directory.mkdir(parents=True)
    (directory / "appliance.json").write_text(json.dumps({"kernel_release": "6.0", "packages": []}))
    return directory.name


def test_an_empty_cache_has_no_images() -> None:
    assert catalog.cached() == []


def test_images_are_listed_with_what_a_lab_would_not_boot_any_more(cache: Path) -> None:
    old_appliance(cache)
    make_image(cache, "debian", when="2025-01-01")
    make_image(cache, "debian")
    make_image(cache, "debian-gcc", ["gcc"])
    listed = [(image.name, image.current, image.packages) for image in catalog.cached()]
    assert listed == [
        ("appliance", False, ()),
        ("debian", False, ()),
        ("debian", True, ()),
        ("debian-gcc", True, ("gcc",)),
    ]


def test_images_of_equal_times_are_listed_in_one_order_whatever_the_file_system_s(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("debian-c", "debian-a", "debian-b"):
        make_image(cache, name)
    glob = Path.glob
    for backwards in (False, True):

        def listed(path: Path, *pattern: Any, backwards: bool = backwards, **how: Any) -> list[Path]:
            return sorted(glob(path, *pattern, **how), reverse=backwards)

        monkeypatch.setattr(Path, "glob", listed)
        assert [image.name for image in catalog.cached()] == ["debian-a", "debian-b", "debian-c"]


def test_one_that_is_not_whole_is_not_there(cache: Path) -> None:
    (cache / "images/debian/abc").mkdir(parents=True)
    (cache / "images/debian/abc/image.json").write_text("{")
    assert catalog.cached() == []


def test_what_is_left_from_before_is_removed_unless_a_lab_runs_on_it(cache: Path) -> None:
    appliance, old = old_appliance(cache), make_image(cache, "debian", when="2025-01-01")
    make_image(cache, "debian")
    assert [image.digest for image in catalog.remove(None, [old])] == [appliance]
    assert [image.current for image in catalog.cached()] == [False, True]


def test_images_are_removed_by_name(cache: Path) -> None:
    make_image(cache, "debian-gcc", ["gcc"])
    make_image(cache, "debian")
    catalog.remove("debian-gcc", [])
    assert [image.name for image in catalog.cached()] == ["debian"]
    assert list((cache / "images/debian-gcc").iterdir()) == []


def test_an_image_is_removed_by_its_digest(cache: Path) -> None:
    old = make_image(cache, "debian", when="2025-01-01")
    new = make_image(cache, "debian")
    catalog.remove(old[:12], [])
    assert [image.digest for image in catalog.cached()] == [new]


def test_an_image_that_a_lab_runs_on_stays(cache: Path) -> None:
    digest = make_image(cache, "debian")
    with pytest.raises(LabError, match="a lab runs on debian"):
        catalog.remove("debian", [digest])
    assert catalog.cached() != []


def test_a_name_that_is_none_is_told_with_those_that_are(cache: Path) -> None:
    make_image(cache, "debian")
    with pytest.raises(SpecError, match=r"'nope'.*debian"):
        catalog.remove("nope", [])


def test_an_image_with_packages_that_was_never_built_is_refused(cache: Path) -> None:
    with pytest.raises(SpecError, match="image build debian-x --packages"):
        disk_image.ensure("debian-x")


def test_of_two_with_other_packages_the_one_asked_for_last_is_taken(cache: Path) -> None:
    make_image(cache, "debian-x", ["gcc"], when="2026-01-01")
    make_image(cache, "debian-x", ["make"], when="2026-01-02")
    assert disk_image.ensure("debian-x").packages == ("make",)
    disk_image.build("debian-x", ["gcc"])
    assert disk_image.ensure("debian-x").packages == ("gcc",)


def test_an_image_that_is_there_is_taken_and_not_built(cache: Path) -> None:
    digest = make_image(cache, "debian-gcc", ["gcc"])
    image = disk_image.ensure("debian-gcc")
    assert (image.digest, image.packages, image.installed) == (digest, ("gcc",), {"gcc": "12"})


@pytest.mark.parametrize("name", ["appliance", "Debian", "debian-", "debian/x", "../debian", "debian-x\n"])
def test_a_name_that_cannot_be_one_is_refused(name: str) -> None:
    with pytest.raises(SpecError, match="cannot be named"):
        disk_image.build(name)


@pytest.mark.parametrize("package", ["", "-o", "gcc;reboot", "a,b", "gcc make", "--hook"])
def test_a_package_that_cannot_be_one_is_refused(package: str) -> None:
    with pytest.raises(SpecError, match="no package's name"):
        disk_image.build("debian-x", [package])


def test_what_nodes_run_on_is_found_by_its_digest(cache: Path) -> None:
    old = make_image(cache, "debian", when="2025-01-01")
    make_image(cache, "debian")
    assert catalog.booted_by("debian", old).digest == old
    with pytest.raises(LabError, match="not in"):
        catalog.booted_by("debian", "feed")


def test_versions_are_read_from_dpkgs_list() -> None:
    status = "Package: a\nStatus: x\nVersion: 1:2-3\nDescription: y\n\nPackage: b\nVersion: 4\n"
    assert debian_build.versions(status) == {"a": "1:2-3", "b": "4"}


def test_the_kernel_is_told_from_its_package() -> None:
    assert debian_build.kernel_release(
        {"linux-image-6.1.0-56-cloud-amd64": "1", "linux-image-cloud-amd64": "1"}
    ) == ("6.1.0-56-cloud-amd64")
