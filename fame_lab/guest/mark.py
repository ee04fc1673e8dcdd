"""A command's mark in its guest, by which all that it started is found, whatever it has become."""

from __future__ import annotations

import secrets
import shlex

__all__ = ["ending", "make", "marked"]

_VARIABLE = "FAME_LAB_COMMAND"
# A kernel's thread has no program and is passed by. Thrice, for one may fork while it is looked for.
_END = (
    "for n in 1 2 3; do for p in /proc/[0-9]*; do [ -e $p/exe ] && "
    'case "$(tr "\\0" " " < $p/environ)" in *{mark}*) kill -9 ${{p#/proc/}};; esac; done; done 2>/dev/null'
)


def make() -> str:
    """Make a mark: an assignment to a variable of the environment that no other command has."""
    return f"{_VARIABLE}={secrets.token_hex(8)}"


def marked(command: str, mark: str) -> str:
    r"""Write the command with its mark.

    The shell begins anew, so that it has the mark from its start, and so whatever it runs without another
    program, as busybox does.

    Examples
    --------
    >>> marked("ls *", "FAME_LAB_COMMAND=1")
    'export FAME_LAB_COMMAND=1; exec "${SHELL:-/bin/sh}" -c \'ls *\''
    """
    return f'export {mark}; exec "${{SHELL:-/bin/sh}}" -c {shlex.quote(command)}'


def ending(mark: str) -> str:
    """Write the command that ends whatever bears a mark."""
    return _END.format(mark=mark)
