"""What can go wrong, and whose move it is.

FameError
├── SpecError (also ValueError)   a field, a size or an argument cannot be right: change it
├── HostError                     this host lacks something, or refuses: mend the host
│   ├── ImageError                an image of a guest, or a program for it, could not be built
│   └── DaemonError               libvirt's daemon went away while it was asked: ask again
├── LabError                      a lab is not there, is there already, or did not come up
│   ├── BootError                 a node missed its deadline, or its QEMU died
│   ├── NetworkError              a node is not reached in the lab's own network
│   └── SharingError              a node does not see the FAM that the others see
├── SSHError                      a node does not answer, or is not who it says
│   └── CommandError              a command in a guest ended with a status other than 0
├── ProbeError                    a probe cannot give a right number
├── TrafficError                  a recording cannot tell what is asked, or what it left cannot be read
└── ReportError                   a notebook stopped before its end

A message says what is wrong, with the value. A hint says what to do next.
"""

from __future__ import annotations

import warnings
from typing import Any

__all__ = [
    "BootError",
    "CommandError",
    "DaemonError",
    "FameError",
    "HostError",
    "ImageError",
    "LabError",
    "NetworkError",
    "ProbeError",
    "ReportError",
    "SSHError",
    "SharingError",
    "SpecError",
    "TrafficError",
]


#: Characters of a message: some of it is what was given, or read, and that may be of any length.
_MAX_MESSAGE = 4000


def _bounded(text: str) -> str:
    return text if len(text) <= _MAX_MESSAGE else f"{text[:_MAX_MESSAGE]}…"


class FameError(Exception):
    """Whatever fame_lab raises derives from this. As text it is its message, and its hint after a colon.

    Parameters
    ----------
    message : str
        What is wrong, with the value.
    hint : str
        What to do next; empty where nobody can tell.

    Attributes
    ----------
    message, hint : str

    Examples
    --------
    >>> error = FameError("nodes is 41", hint="give 1 to 40")
    >>> str(error), error.hint
    ('nodes is 41: give 1 to 40', 'give 1 to 40')
    """

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        self.message, self.hint = _bounded(message), _bounded(hint)
        super().__init__(f"{self.message}: {self.hint}" if hint else self.message)

    def explanation(self) -> str:
        """Return the message, with the hint on a line of its own: as command line, panel and HTML show it."""
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message

    def reword(self, message: str, hint: str) -> None:
        """Change message and hint to the words of a face: options of the command line, for example."""
        self.message, self.hint = message, hint
        self.args = (f"{message}: {hint}" if hint else message,)


class SpecError(FameError, ValueError):
    """A field, a size or an argument that cannot be right.

    Attributes
    ----------
    field : str or None
        Of a LabSpec: which of its fields.
    """

    field: str | None = None


class HostError(FameError):
    """The host lacks something that a lab needs, or refuses it.

    Attributes
    ----------
    mend : str
        The command that mends it, as the doctor shows it; empty where it is not one command.
    """

    mend: str = ""


class ImageError(HostError):
    """An image of a guest, or a program for it, could not be built."""


class DaemonError(HostError):
    """libvirt's daemon went away while it was asked; the next question starts it, or finds it, anew."""


class LabError(FameError):
    """A lab is not there, is there already, or did not come up."""


class BootError(LabError):
    """A node missed its deadline, or its QEMU died."""


class NetworkError(LabError):
    """A node is not reached in the lab's own network."""


class SharingError(LabError):
    """A node does not see the FAM that the others see."""


class SSHError(FameError):
    """A node does not answer over SSH, or is not who it says."""


class CommandError(SSHError):
    """A command in a guest ended with a status other than 0.

    Parameters
    ----------
    message : str
        What ran where, its status and the last of what it said.
    result : object
        The :class:`fame_lab.guest.ssh.run_result.RunResult` of the command.
    hint : str
    """

    def __init__(self, message: str, result: object = None, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.result = result


class ProbeError(FameError):
    """A probe cannot give a right number, so it gives none."""


class TrafficError(FameError):
    """A recording cannot tell what is asked of it, or what it left cannot be read."""


class ReportError(FameError):
    """A notebook stopped before its end; the message says at which cell, and where the report is."""


def __getattr__(name: str) -> Any:
    # Written here, for core/moved.py is above.
    if name != "ApplianceError":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn("ApplianceError is ImageError now", DeprecationWarning, stacklevel=2)
    return ImageError
