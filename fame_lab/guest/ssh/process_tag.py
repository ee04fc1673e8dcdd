"""The tag of a command in its guest: every process that the command started is found by it."""

from __future__ import annotations

import secrets
import shlex

__all__ = ["encoded", "framed", "kill_command", "new_tag", "tagged"]

_VARIABLE = "FAME_LAB_COMMAND"
# One program looks through all environments: many kills at a time would keep a node from all else. If grep
# knows no -z, each environment is read by itself. Thrice, for a process may fork during the search.
_END = (
    "look() {{ grep -slzF {tag} /proc/[0-9]*/environ; }}; "
    "echo | grep -qz '' || look() {{ for p in /proc/[0-9]*; do [ -e $p/exe ] && "
    'case "$(tr "\\0" " " < $p/environ)" in *{tag}*) echo $p/environ;; esac; done; }}; '
    "for n in 1 2 3; do for p in $(look); do p=${{p%/environ}}; kill -9 ${{p#/proc/}}; done; done 2>/dev/null"
)
#: Bytes of a line that every SSH server takes: dropbear ends the whole connection at 9,000, and Linux gives a
#: program's argument 128 KiB at most.
MAX_LINE = 8000
# dd takes so many bytes from a pipe, in one read or several, and no more.
_READ = (
    "FAME_LAB_SCRIPT=$(dd bs={size} count=1 iflag=fullblock 2>/dev/null); "
    'case $FAME_LAB_SCRIPT in *{end}) ;; *) echo "the command did not come whole" >&2; exit 125;; esac; '
    'eval "unset FAME_LAB_SCRIPT; ${{FAME_LAB_SCRIPT%{end}}}"'
)


def new_tag() -> str:
    """Return a new tag: an assignment to a variable of the environment that no other command has."""
    return f"{_VARIABLE}={secrets.token_hex(8)}"


def tagged(command: str, tag: str) -> str:
    r"""Return the command with its tag.

    A new shell is started, which has the tag in its environment from the start. So have the commands that a
    shell runs by itself, as busybox does.

    Examples
    --------
    >>> tagged("ls *", "FAME_LAB_COMMAND=1")
    'export FAME_LAB_COMMAND=1; exec "${SHELL:-/bin/sh}" -c -- \'ls *\''
    """
    # A command may begin with - or +, which a shell would take for its options.
    return f'export {tag}; exec "${{SHELL:-/bin/sh}}" -c -- {shlex.quote(command)}'


def encoded(command: str) -> bytes:
    r"""Return the bytes of a command; bytes that Python took from an argument come back unchanged.

    Examples
    --------
    >>> encoded("ä\udcff")
    b'\xc3\xa4\xff'
    """
    return command.encode(errors="surrogateescape")


def framed(command: str, tag: str) -> tuple[bytes, bytes]:
    r"""Return the line that an SSH server gets for a command, and the bytes that precede the command's input.

    A long command is sent as input: the shell reads up to its end, which the tag marks. The rest is the
    command's own input. If the connection ended before, nothing is run.

    Examples
    --------
    >>> framed("ls", "FAME_LAB_COMMAND=1")
    (b'export FAME_LAB_COMMAND=1; exec "${SHELL:-/bin/sh}" -c -- ls', b'')
    """
    line = encoded(tagged(command, tag))
    if len(line) <= MAX_LINE:
        return line, b""
    end = f"#{tag}"
    script = encoded(command + end)
    return encoded(tagged(_READ.format(size=len(script), end=end), tag)), script


def kill_command(tag: str) -> str:
    """Return the command that kills all processes with a tag."""
    return _END.format(tag=tag)
