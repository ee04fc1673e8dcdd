from pathlib import Path

import pytest

from fame_lab.host import cpu_caches


def tell(directory: Path, *caches: tuple[str, str, str]) -> None:
    for number, (level, kind, size) in enumerate(caches):
        index = directory / f"index{number}"
        index.mkdir(parents=True)
        for name, value in (("level", level), ("type", kind), ("size", size)):
            (index / name).write_text(value + "\n")


@pytest.fixture
def sysfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cpu_caches, "_CACHES", tmp_path)
    return tmp_path


def test_the_last_cache_is_the_highest_level_that_holds_data(sysfs: Path) -> None:
    tell(
        sysfs,
        ("1", "Data", "32K"),
        ("1", "Instruction", "64K"),
        ("3", "Unified", "32768K"),
        ("2", "Unified", "1M"),
    )
    assert cpu_caches.last_cache() == 32 << 20


def test_a_host_that_tells_nothing_usable_has_no_known_cache(sysfs: Path) -> None:
    assert cpu_caches.last_cache() is None
    tell(sysfs, ("3", "Unified", "large"), ("4", "Instruction", "8K"))
    (sysfs / "index2").mkdir()
    assert cpu_caches.last_cache() is None
