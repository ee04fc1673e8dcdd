"""Files to and from a node, whose shell is this host's here; real nodes are in test_file_transfer_vm."""

import errno
import os
import shutil
import stat
import subprocess
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fame_lab.errors import BootError, CommandError, FameError, HostError, SpecError, SSHError
from fame_lab.guest.ssh import file_transfer, local_file
from fame_lab.guest.ssh.connection import Connection
from fame_lab.guest.ssh.output import Sink

CONTENT = bytes(range(256)) * 40


class Shell:
    """What copying needs of a connection. Its commands run on this host, where a directory is root's home."""

    node = "node01"

    def __init__(self, home: Path, words: tuple[str, ...] = ("sh",)) -> None:
        self.home, self.words = home, words
        self.commands: list[str] = []

    def execute(
        self,
        command: str,
        *,
        timeout: float | None = None,
        stdin: bytes | Iterable[bytes] = b"",
        sink: Sink | None = None,
        words: str = "",
    ) -> tuple[bytes, bytes, int]:
        del timeout, words
        self.commands.append(command)
        content = stdin if isinstance(stdin, bytes) else b"".join(stdin)
        script = command.removeprefix("exec /bin/sh -c ")
        ran = subprocess.run(
            ["sh", "-c", f"exec {' '.join(self.words)} -c {script}".encode(errors="surrogateescape")],
            input=content,
            capture_output=True,
            cwd=self.home,
            env=os.environ | {"HOME": str(self.home)},
        )
        for at in range(0, len(ran.stdout), 7) if sink else ():
            cast("Sink", sink)(ran.stdout[at : at + 7])
        return b"" if sink else ran.stdout, ran.stderr, ran.returncode


SHELLS = [words for words in (("dash",), ("bash",), ("busybox", "sh")) if shutil.which(words[0])]


@pytest.fixture(params=SHELLS, ids=" ".join)
def shell(tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    home = tmp_path / "home"
    (home / "sub").mkdir(parents=True)
    return Shell(home, request.param)


@pytest.fixture
def local(tmp_path: Path) -> Path:
    path = tmp_path / "a b"
    path.write_bytes(CONTENT)
    path.chmod(0o751)
    return path


def left_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.rglob("*") if path.name.startswith(".fame-"))


@pytest.mark.parametrize(
    ("remote", "where"),
    [
        ("x", "x"),
        ("./x", "x"),
        ("sub", "sub/a b"),
        ("sub/", "sub/a b"),
        (".", "a b"),
        ("~", "a b"),
        ("~/", "a b"),
        ("~/sub", "sub/a b"),
        ("~/x y", "x y"),
        ("-rf", "-rf"),
        ("sub/$(touch z)", "sub/$(touch z)"),
        ("line\nanother\n", "line\nanother\n"),
        ("größe", "größe"),
        ("\udcff", "\udcff"),
        (PurePosixPath("sub/x"), "sub/x"),
    ],
)
def test_put_puts_a_file_where_it_is_told(shell: Any, local: Path, remote: str, where: str) -> None:
    place = file_transfer.put(shell, local, remote)
    target = shell.home / where
    assert target.read_bytes() == CONTENT
    assert stat.S_IMODE(target.stat().st_mode) == 0o751
    assert str(place).replace("~", ".", 1) == str(
        PurePosixPath(remote, local.name) if target.name == local.name else PurePosixPath(remote)
    ).replace("~", ".", 1)
    assert [path for path in shell.home.rglob("*") if path.is_file()] == [target]


@pytest.mark.parametrize(
    ("remote", "words"),
    [
        ("nowhere/", "no such directory"),
        ("nowhere/x", "no such directory"),
        ("full", "a directory is there"),
        ("fifo", "no regular file"),
        ("/dev/null", "no regular file"),
        ("loop", "no such directory"),
        ("x" * 300, "cannot put"),
        ("/proc/x", "cannot put"),
    ],
)
def test_put_where_no_file_can_be_says_why_and_leaves_nothing(
    shell: Any, local: Path, remote: str, words: str
) -> None:
    (shell.home / "full" / local.name).mkdir(parents=True)
    os.mkfifo(shell.home / "fifo")
    (shell.home / "loop").symlink_to("loop")
    with pytest.raises(CommandError, match=words) as caught:
        file_transfer.put(shell, local, remote)
    assert str(caught.value).startswith("node01: cannot put ")
    assert left_in(shell.home) == []


def test_put_replaces_a_file_and_what_a_link_leads_to(shell: Any, local: Path) -> None:
    old = shell.home / "sub/old"
    old.write_text("old")
    with old.open() as file:
        (shell.home / "link").symlink_to("sub/old")
        file_transfer.put(shell, local, "link")
        assert file.read() == "old"  # it was replaced, and not written over
    assert (shell.home / "link").is_symlink()
    assert old.read_bytes() == CONTENT


def test_put_takes_the_mode_that_it_is_given(shell: Any, local: Path) -> None:
    file_transfer.put(shell, local, "x", mode=0o4711)
    assert stat.S_IMODE((shell.home / "x").stat().st_mode) == 0o4711


def test_put_takes_an_empty_file_and_one_that_tells_no_size(shell: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    file_transfer.put(shell, tmp_path / "empty", "empty")
    assert (shell.home / "empty").read_bytes() == b""
    file_transfer.put(shell, "/proc/version", "version")
    assert (shell.home / "version").read_bytes() == Path("/proc/version").read_bytes()


def test_put_follows_a_link_of_this_host(shell: Any, local: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(local)
    assert file_transfer.put(shell, tmp_path / "link", "sub") == PurePosixPath("sub/link")
    assert not (shell.home / "sub/link").is_symlink()


@pytest.mark.parametrize(
    ("what", "kind", "words"),
    [
        ("missing", HostError, "No such file"),
        ("directory", SpecError, "is a directory"),
        ("fifo", SpecError, "is no regular file"),
        ("/dev/zero", SpecError, "is no regular file"),
        ("loop", HostError, "cannot read"),
        ("", SpecError, "no file has that name"),
        ("nul\0", SpecError, "no file has that name"),
        (5, SpecError, "give a string or a path"),
    ],
)
def test_put_of_what_is_no_file_is_refused_and_sends_nothing(
    shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, kind: type[FameError], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("directory").mkdir()
    os.mkfifo("fifo")
    Path("loop").symlink_to("loop")
    with pytest.raises(kind, match=words):
        file_transfer.put(shell, what, "x")
    assert shell.commands == []


@pytest.mark.parametrize("remote", ["", "a\0", None, b"x", "~bob/x"])
@pytest.mark.parametrize("copy", [file_transfer.put, file_transfer.get])
def test_a_path_in_the_node_that_is_none_is_refused(
    shell: Any, local: Path, copy: Any, remote: str, tmp_path: Path
) -> None:
    words = (shell, local, remote) if copy is file_transfer.put else (shell, remote, tmp_path)
    with pytest.raises(SpecError, match="the path in the node"):
        copy(*words)


@pytest.mark.parametrize("mode", ["755", -1, 1.5, True, 0o10000])
def test_a_mode_that_is_none_is_refused(shell: Any, local: Path, mode: int) -> None:
    with pytest.raises(SpecError, match="mode is"):
        file_transfer.put(shell, local, "x", mode=mode)


def test_put_of_more_than_there_is_room_for_names_the_room_and_writes_nothing(
    shell: Any, tmp_path: Path
) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(1 << 43)
    with pytest.raises(CommandError, match=r"it takes 8T, and there is room for \d+[KMGT]?"):
        # A stand-in would read all of it before it begins; a node's shell answers first.
        file_transfer.put(cast("Connection", Unread(shell)), large, "x")
    assert list(shell.home.iterdir()) == [shell.home / "sub"]


class Unread(Shell):
    """A shell that is sent no input."""

    def __init__(self, shell: Shell) -> None:
        super().__init__(shell.home, shell.words)

    def execute(self, command: str, **words: Any) -> tuple[bytes, bytes, int]:
        words["stdin"] = b""
        return super().execute(command, **words)


def test_put_that_did_not_come_whole_leaves_nothing(shell: Any, local: Path) -> None:
    with pytest.raises(CommandError, match="did not come whole"):
        file_transfer.put(cast("Connection", Unread(shell)), local, "x")
    assert list(shell.home.iterdir()) == [shell.home / "sub"]


def test_put_of_a_file_that_shrinks_meanwhile_is_told(local: Path) -> None:
    with local_file.source(local) as (file, size, _):
        os.truncate(local, 10)
        with pytest.raises(HostError, match="was truncated while it was read"):
            list(local_file.pieces(file, size, local))


class Killed(Shell):
    """A shell that is ended in the middle of a copy, as by Ctrl-C, and has no time to clean up."""

    def __init__(self, shell: Shell, error: BaseException) -> None:
        super().__init__(shell.home, shell.words)
        self.error: BaseException | None = error

    def execute(self, command: str, **words: Any) -> tuple[bytes, bytes, int]:
        if (error := self.error) is not None:
            self.error = None
            before, _, rest = command.partition('cat >"$p"')
            assert rest
            super().execute(before + 'cat >"$p"; kill -9 $$\n\'', **words)
            assert left_in(self.home) != []
            raise error
        return super().execute(command, **words)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SSHError("it takes longer")])
def test_put_that_is_ended_half_way_leaves_nothing(shell: Any, local: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        file_transfer.put(cast("Connection", Killed(shell, error)), local, "sub")
    assert left_in(shell.home) == []


class Gone(Shell):
    """A node that ends during a copy."""

    def execute(self, command: str, **_: Any) -> tuple[bytes, bytes, int]:
        if "rm -f" in command and "cat" not in command:
            raise BootError("its QEMU has ended")
        raise SSHError("node01 went away during the copy")


def test_put_into_a_node_that_ends_meanwhile_says_so(shell: Any, local: Path) -> None:
    with pytest.raises(SSHError, match="went away during the copy"):
        file_transfer.put(cast("Connection", Gone(shell.home)), local, "x")


@pytest.fixture
def remote(shell: Any) -> Path:
    path: Path = shell.home / "far"
    path.write_bytes(CONTENT)
    path.chmod(0o640)
    return path


@pytest.mark.parametrize(
    ("where", "expected"), [("here", "here"), ("out", "out/far"), ("out/", "out/far"), ("-x\n", "-x\n")]
)
def test_get_puts_a_file_where_it_is_told(
    shell: Any, remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("out").mkdir()
    assert file_transfer.get(shell, "far", where) == Path(expected)
    assert Path(expected).read_bytes() == CONTENT
    assert stat.S_IMODE(Path(expected).stat().st_mode) == 0o640
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("name", ["-n", "a b", "line\n", "größe", "\udcff", "$(touch z)", "empty"])
def test_get_takes_a_file_of_any_name(shell: Any, tmp_path: Path, name: str) -> None:
    content = b"" if name == "empty" else CONTENT
    (shell.home / name).write_bytes(content)
    for path in (name, f"~/{name}", shell.home / name):
        assert file_transfer.get(shell, path, tmp_path).read_bytes() == content
        assert (tmp_path / name).exists()


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("missing", "there is no such file"),
        ("sub", "it is a directory"),
        ("fifo", "no regular file"),
        ("/dev/zero", "no regular file"),
        ("/proc/self/clear_refs", "cannot get"),
    ],
)
def test_get_of_what_is_no_file_says_why_and_leaves_nothing(
    shell: Any, tmp_path: Path, source: str, words: str
) -> None:
    os.mkfifo(shell.home / "fifo")
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(CommandError, match=words):
        file_transfer.get(shell, source, out)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("where", "kind", "words"),
    [
        ("nowhere/x", HostError, "no such directory"),
        ("nowhere/", HostError, "no such directory"),
        ("/dev/null", HostError, "no regular file"),
        ("taken", HostError, "no regular file"),
        ("x" * 300, HostError, "cannot write"),
        ("", SpecError, "no file has that name"),
    ],
)
def test_get_to_where_no_file_can_be_is_refused_before_it_begins(
    shell: Any,
    remote: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    kind: type[FameError],
    words: str,
) -> None:
    del remote
    monkeypatch.chdir(tmp_path)
    Path("taken/far").mkdir(parents=True)
    with pytest.raises(kind, match=words):
        file_transfer.get(shell, "far", where)
    assert shell.commands == []


def test_get_replaces_a_file_that_is_read_only_and_what_a_link_leads_to(
    shell: Any, remote: Path, tmp_path: Path
) -> None:
    del remote
    (tmp_path / "old").write_text("old")
    (tmp_path / "old").chmod(0o400)
    (tmp_path / "link").symlink_to("old")
    file_transfer.get(shell, "far", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "old").read_bytes() == CONTENT


def test_get_of_more_than_is_taken_says_what_to_set_and_leaves_what_was_there(
    shell: Any, remote: Path, tmp_path: Path
) -> None:
    (tmp_path / "kept").write_text("kept")
    with pytest.raises(SpecError, match="more than the 1K that are taken: give a larger `most`"):
        file_transfer.get(shell, "far", tmp_path / "kept", most="1K")
    assert (tmp_path / "kept").read_text() == "kept"
    assert left_in(tmp_path) == []
    assert (
        file_transfer.get(shell, "far", tmp_path / "got", most=len(CONTENT)).read_bytes()
        == remote.read_bytes()
    )


class Liar:
    """A node that says anything in place of a file."""

    node = "node01"

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces

    def execute(self, _: str, *, sink: Sink, **__: Any) -> tuple[bytes, bytes, int]:
        for piece in self.pieces:
            sink(piece)
        return b"", b"", 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=300)))
def test_whatever_a_node_sends_is_a_file_or_an_error_of_ours(tmp_path: Path, pieces: list[bytes]) -> None:
    try:
        file_transfer.get(cast("Connection", Liar(*pieces)), "x", tmp_path / "x", most=100)
    except FameError as error:
        assert str(error).isprintable()
    assert left_in(tmp_path) == []


def test_a_node_that_sends_more_than_it_announced_fills_no_disk(tmp_path: Path) -> None:
    liar = cast("Connection", Liar(b"5 644\n", *[b"x" * 50] * 3))
    with pytest.raises(SpecError, match="more than the 100"):
        file_transfer.get(liar, "x", tmp_path, most=100)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_finds_no_room_on_this_host_is_refused_when_it_is_announced(tmp_path: Path) -> None:
    liar = cast("Connection", Liar(b"%d 644\n" % (1 << 60), b"x"))
    with pytest.raises(HostError, match=r"no room for 'x' at .*bytes, and .* are free"):
        file_transfer.get(liar, "x", tmp_path, most=1 << 62)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_meanwhile_is_told_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def write(self, _: bytes) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    opened = local_file.Arriving._opened

    def full(arriving: Any, line: bytes) -> Any:
        opened(arriving, line)
        return Full()

    monkeypatch.setattr(local_file.Arriving, "_opened", full)
    with pytest.raises(HostError, match="No space left on device; make room"):
        file_transfer.get(cast("Connection", Liar(b"5 644\n", b"hello")), "x", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("most", [0, "0"])
def test_a_limit_of_nothing_is_refused(most: object, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"most is '?0'?: give a size of 1 byte or more"):
        file_transfer.get(cast("Connection", None), "x", tmp_path, most=most)  # type: ignore[arg-type]
