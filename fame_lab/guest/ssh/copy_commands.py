"""The shell commands that copy a file in a guest, and the meaning of their exit statuses."""

from __future__ import annotations

import shlex

from fame_lab.core.sanitize import shortened
from fame_lab.core.sizes import format_size

__all__ = ["TOO_LARGE", "get", "put", "remove", "why_not_got", "why_not_put"]

# The exit statuses of the scripts below.
_NO_PARENT, _DIRECTORY, _IRREGULAR, _NO_ROOM, _SHORT, _ABSENT, TOO_LARGE = range(101, 108)

# A link to a file is followed, as by cp: its target is replaced, and not the link.
_PLACE = f"""\
t={{target}}
case $t in */) [ -d "$t" ] || exit {_NO_PARENT};; esac
if [ -d "$t" ]; then t=${{{{t%/}}}}/{{name}}; echo in; fi
if [ -L "$t" ]; then
    t=$(readlink -f "$t" && echo .) || exit {_NO_PARENT}
    t=${{{{t%??}}}}
fi
[ ! -d "$t" ] || exit {_DIRECTORY}
[ ! -e "$t" ] || [ -f "$t" ] || exit {_IRREGULAR}
d=${{{{t%/*}}}}/
[ -d "$d" ] || exit {_NO_PARENT}
p=$d{{part}}
"""
# Files of a tmpfs are memory, of which a node keeps some for itself.
_PUT = f"""\
set -- $(stat -f -c '%a %S %T' "$d" 2>/dev/null)
if [ $# -eq 3 ]; then
    room=$(($1 * $2))
    case $3 in
        tmpfs | ramfs)
            while read -r key value _; do
                [ "$key" = MemAvailable: ] || continue
                value=$(((value - 4096) * 1024))
                if [ "$3" = ramfs ] || [ $value -lt $room ]; then room=$value; fi
            done </proc/meminfo;;
    esac
    [ $room -ge {{size}} ] || {{{{ echo "$room"; exit {_NO_ROOM}; }}}}
fi
trap 'rm -f "$p"' EXIT
trap 'exit 129' HUP INT TERM
umask 077
cat >"$p" || exit
[ $(wc -c <"$p") -eq {{size}} ] || exit {_SHORT}
chmod {{mode:o}} "$p" && mv -f "$p" "$t"
"""
_GET = f"""\
f={{source}}
[ ! -d "$f" ] || exit {_DIRECTORY}
[ -e "$f" ] || exit {_ABSENT}
[ -f "$f" ] || exit {_IRREGULAR}
size=$(stat -L -c %s "$f") && mode=$(stat -L -c %a "$f") || exit
echo "$size $mode"
[ "$size" -le {{max_bytes}} ] || exit {TOO_LARGE}
exec cat <"$f"
"""


def put(target: str, name: str, part: str, *, size: int, mode: int) -> str:
    """Return the command that writes its standard input to a file.

    Parameters
    ----------
    target, name, part : str
        Its path; its name, if that is a directory; and its name while it is not whole.
    size, mode : int
        Bytes and permissions.
    """
    return _in_sh(_with_place(target, name, part) + _PUT.format(size=size, mode=mode))


def remove(target: str, name: str, part: str) -> str:
    """Return the command that removes the partial file of a cancelled :func:`put`."""
    return _in_sh(_with_place(target, name, part) + 'rm -f "$p"\n')


def get(source: str, max_bytes: int) -> str:
    """Return the command that writes a line with a file's size and permissions, and then the file."""
    return _in_sh(_GET.format(source=_quoted(source), max_bytes=max_bytes))


def _with_place(target: str, name: str, part: str) -> str:
    return _PLACE.format(target=_quoted(target), name=shlex.quote(name), part=part)


def why_not_put(status: int, stdout: bytes, stderr: bytes, size: int) -> str:
    """Return why a file could not be put, from the result of its command."""
    if status == _NO_ROOM:
        room = stdout.split()[-1:] or [b""]
        free = format_size(int(room[0])) if room[0].isdigit() and len(room[0]) < 19 else "less"
        return f"it takes {format_size(size)}, and there is room for {free}"
    why = {
        _NO_PARENT: "there is no such directory; make it first",
        _DIRECTORY: "a directory is there",
        _IRREGULAR: "what is there is no regular file",
        _SHORT: "it did not come whole",
    }
    return why.get(status) or _error_lines(status, stderr)


def why_not_got(status: int, stderr: bytes) -> str:
    """Return why a file could not be got, from the result of its command."""
    why = {
        _ABSENT: "there is no such file",
        _DIRECTORY: "it is a directory: get takes a file, such as an archive of it",
        _IRREGULAR: "it is no regular file",
    }
    return why.get(status) or _error_lines(status, stderr)


def _error_lines(status: int, stderr: bytes) -> str:
    lines = stderr.decode(errors="replace").strip().splitlines()
    return " | ".join(map(shortened, lines[-3:])) or f"status {status}"


def _quoted(path: str) -> str:
    """Return a path of the guest's, quoted for its shell, that no command takes for an option."""
    if path == "~" or path.startswith("~/"):
        return f'"$HOME"{shlex.quote(path[1:])}' if path != "~" else '"$HOME"'
    return shlex.quote(path if path.startswith("/") else f"./{path}")


def _in_sh(script: str) -> str:
    """Return a script as a command for /bin/sh: root's own shell may be another."""
    return f"exec /bin/sh -c {shlex.quote(script)}"
