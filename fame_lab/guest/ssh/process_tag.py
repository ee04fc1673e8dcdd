"""The tag of a command in its guest: every process that the command started is found by it."""

from __future__ import annotations

import secrets
import shlex

__all__ = ["encoded", "framed", "kill_command", "new_tag", "tagged"]

_VARIABLE = "FAME_LAB_COMMAND"
# One program looks through all environments: many endings at a time would keep a node from all else. If grep
# knows no -z, each environment is looked at by itself. Thrice, for one may fork while it is looked for.
_END = (
    "look() {{ grep -slzF {mark} /proc/[0-9]*/environ; }}; "
    "echo | grep -qz '' || look() {{ for p in /proc/[0-9]*; do [ -e $p/exe ] && "
    'case "$(tr "\\0" " " < $p/environ)" in *{mark}*) echo $p/environ;; esac; done; }}; '
    "for n in 1 2 3; do for p in $(look); do p=${{p%/environ}}; kill -9 ${{p#/proc/}}; done; done 2>/dev/null"
)
#: Bytes of a line that every SSH server takes: dropbear ends the whole connection at 9,000, and Linux gives a
#: program's argument 128 KiB at most.
MAX_LINE = 8000
# dd takes from a pipe what it is told to, in one read or several, and nothing more.
_READ = (
    "FAME_LAB_SCRIPT=$(dd bs={size} count=1 iflag=fullblock 2>/dev/null); "
    'case $FAME_LAB_SCRIPT in *{end}) ;; *) echo "the command did not come whole" >&2; exit 125;; esac; '
    'eval "unset FAME_LAB_SCRIPT; ${{FAME_LAB_SCRIPT%{end}}}"'
)


def new_tag() -> str:
    """Make a mark: an assignment to a variable of the environment that no other command has."""
    return f"{_VARIABLE}={secrets.token_hex(8)}"


def tagged(command: str, mark: str) -> str:
    r"""Write the command with its mark.

    The shell begins anew, so that it has the mark from its start, and so whatever it runs without another
    program, as busybox does.

    Examples
    --------
    >>> tagged("ls *", "FAME_LAB_COMMAND=1")
    'export FAME_LAB_COMMAND=1; exec "${SHELL:-/bin/sh}" -c -- \'ls *\''
    """
    # A command may begin with - or +, which a shell would take for its options.
    return f'export {mark}; exec "${{SHELL:-/bin/sh}}" -c -- {shlex.quote(command)}'


def encoded(command: str) -> bytes:
    r"""Return the bytes of a command. Those that Python took from an argument are as they were.

    Examples
    --------
    >>> encoded("ä\udcff")
    b'\xc3\xa4\xff'
    """
    return command.encode(errors="surrogateescape")


def framed(command: str, mark: str) -> tuple[bytes, bytes]:
    r"""Return the line that an SSH server is given for a command, and what precedes the command's input.

    A long command is sent as input: the shell reads it to its end, which is told by the mark, and no further.
    What follows is there for the command itself. Had the connection ended before, nothing is run.

    Examples
    --------
    >>> framed("ls", "FAME_LAB_COMMAND=1")
    (b'export FAME_LAB_COMMAND=1; exec "${SHELL:-/bin/sh}" -c -- ls', b'')
    """
    line = encoded(tagged(command, mark))
    if len(line) <= MAX_LINE:
        return line, b""
    end = f"#{mark}"
    script = encoded(command + end)
    return encoded(tagged(_READ.format(size=len(script), end=end), mark)), script


def kill_command(mark: str) -> str:
    """Write the command that ends whatever bears a mark."""
    return _END.format(mark=mark)
