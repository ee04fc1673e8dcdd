import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fame_lab.guest.images import cpio
from fame_lab.guest.images.cpio import Entry

NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20
).filter(lambda name: name not in (".", ".."))
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join).filter(lambda path: path != "TRAILER!!!")
ENTRIES = st.one_of(
    st.binary(max_size=40).map(cpio.file),
    NAMES.map(cpio.symlink),
    st.builds(cpio.device, st.integers(0, 4095), st.integers(0, 1 << 20)),
)


def read(data: bytes) -> dict[str, tuple[int, bytes, tuple[int, int]]]:
    """Read an archive as the kernel does: headers of 110 bytes, names and contents padded to 4."""
    files: dict[str, tuple[int, bytes, tuple[int, int]]] = {}
    at = 0
    while True:
        assert data[at : at + 6] == b"070701"
        fields = [int(data[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        mode, modified, size, name_size = fields[1], fields[5], fields[6], fields[11]
        assert modified == fields[2] == fields[3] == 0
        name = data[at + 110 : at + 110 + name_size]
        assert name.endswith(b"\0")
        at += 110 + name_size
        at += -at % 4
        path = name[:-1].decode()
        if path == "TRAILER!!!":
            assert len(data) == at
            return files
        assert path not in files
        files[path] = (mode, data[at : at + size], (fields[9], fields[10]))
        at += size
        at += -at % 4


def clashes(entries: dict[str, Entry]) -> bool:
    """Whether something is both a file and a directory."""
    return any(other.startswith(path + "/") for path in entries for other in entries)


@given(st.dictionaries(PATHS, ENTRIES, max_size=8).filter(lambda entries: not clashes(entries)))
def test_what_is_written_is_read_back(entries: dict[str, Entry]) -> None:
    files = read(cpio.archive(entries))
    for path, entry in entries.items():
        assert files[path] == (entry.mode, entry.data, entry.device)
    assert all(stat.S_ISDIR(files[path][0]) for path in files if path not in entries)


@given(st.dictionaries(PATHS, ENTRIES, max_size=8))
def test_a_directory_comes_before_what_lies_in_it(entries: dict[str, Entry]) -> None:
    earlier = set()
    for path in read(cpio.archive(entries)):
        parent = path.rpartition("/")[0]
        assert not parent or parent in earlier
        earlier.add(path)


def test_order_of_the_entries_does_not_change_a_byte() -> None:
    entries = {"b": cpio.file(b"2"), "a/c": cpio.file(b"1"), "a": cpio.directory(0o700)}
    assert cpio.archive(entries) == cpio.archive(dict(reversed(entries.items())))


def test_a_given_directory_keeps_its_mode() -> None:
    files = read(cpio.archive({"root/.ssh/key": cpio.file(b""), "root": cpio.directory(0o700)}))
    assert files["root"][0] == stat.S_IFDIR | 0o700
    assert files["root/.ssh"][0] == stat.S_IFDIR | 0o755


@pytest.mark.parametrize("path", ["", "/etc", "etc/", "a//b", "../a", "a/..", ".", "a\0b", "TRAILER!!!"])
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="not a path inside the archive"):
        cpio.archive({path: cpio.file(b"")})
