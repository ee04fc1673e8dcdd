"""A report's manifest, ``manifest.json``: written, and read as a stranger's."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fame_lab.core.sanitize import quoted
from fame_lab.errors import SpecError

__all__ = ["MANIFEST", "SOURCE", "ReportManifest", "read_limited"]

MANIFEST = "manifest.json"
#: The directory of the notebook as it was, byte by byte.
SOURCE = "source"
_FORMAT = 1
_NAME = re.compile(r"[^/\0\ud800-\udfff]{1,250}\.ipynb")  # in UTF-8, for a page has it
_COMMIT = re.compile(r"[0-9a-f]{7,64}(-dirty)?")
_MAX_BYTES = 64 << 20  # bytes of a manifest or a notebook: far more than a thousand results have


@dataclass(frozen=True)
class ReportManifest:
    """Where a report comes from, in values that JSON can hold. Each field is a key of the file.

    Parameters
    ----------
    notebook : str
        Its file's name.
    sha256 : str
        Of that file.
    parameters : dict
        Those that were given to it.
    commands : list of str
        What was run, and what makes it again from within the folder.
    commit : dict
        Of the ``notebook`` and of this package, ``fame_lab``; None where it lies in no git clone. It ends in
        ``-dirty`` if a file was changed.
    versions : dict
        Of this package, Python and the host's kernel. QEMU's and libvirt's are in each result's manifest.
    packages : dict
        All that are installed, with their versions.
    host : dict
        Its ``cpu`` and ``cores``.
    stopped : str
        Why it ended before its last cell; empty if it did not.
    time : dict
        When it ``began`` and ``ended``, UTC.
    results, missing : list of dict
        What was measured, and what of it could not be kept, as
        :class:`fame_lab.results.capture.CapturedResults` lists it.
    figures : list of dict
        The ``cell``, counted from 1, and the ``file`` of each.
    """

    notebook: str
    sha256: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    commit: dict[str, str | None] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    host: dict[str, Any] = field(default_factory=dict)
    stopped: str = ""
    time: dict[str, str] = field(default_factory=dict)
    results: list[dict[str, Any]] = field(default_factory=list)
    missing: list[dict[str, Any]] = field(default_factory=list)
    figures: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def from_dict(cls, values: object) -> ReportManifest:
        """Return a manifest from the values of its JSON file, which are not trusted.

        Raises
        ------
        SpecError
            If it is no report's, or a value is not what its field takes.
        """
        if not isinstance(values, dict) or values.get("format") != _FORMAT or "notebook" not in values:
            raise SpecError(f"{MANIFEST} is no report's, or not of format {_FORMAT}")
        fields = {name: values[name] for name in _KINDS if name in values}
        for name, value in fields.items():
            if not isinstance(value, _KINDS[name]):
                raise SpecError(f"{name} is {quoted(value)}, and not a {_KINDS[name].__name__}")
        # A name, and no way out of the folder.
        if not _NAME.fullmatch(fields["notebook"]):
            raise SpecError(f"notebook is {quoted(fields['notebook'])}, and not the name of an .ipynb file")
        for whose, commit in fields.get("commit", {}).items():
            if commit is not None and not (isinstance(commit, str) and _COMMIT.fullmatch(commit)):
                raise SpecError(f"the commit of {quoted(whose)} is {quoted(commit)}, and none of git's")
        return cls(**fields)

    def to_dict(self) -> dict[str, Any]:
        """Return what the file holds."""
        return {"format": _FORMAT} | vars(self)

    @classmethod
    def read(cls, folder: Path) -> ReportManifest:
        """Read a report's manifest.

        Raises
        ------
        SpecError
            If the folder holds no report that this version can read.
        """
        try:
            return cls.from_dict(json.loads(read_limited(folder / MANIFEST)))
        except (OSError, ValueError, RecursionError) as error:
            raise SpecError(f"{str(folder)!r} holds no report that can be read: {error}") from error

    def write(self, folder: Path) -> None:
        """Write it into a report's folder."""
        (folder / MANIFEST).write_text(json.dumps(self.to_dict(), indent=1) + "\n")


_KINDS = {name: type(empty) for name, empty in vars(ReportManifest("n.ipynb")).items()}


def read_limited(path: Path) -> bytes:
    """Read a file of a folder that a stranger may have made.

    Raises
    ------
    OSError, ValueError
        If it cannot be read, is no plain file, whose reading could last for ever, or is too large.
    """
    if not path.is_file():
        raise ValueError(f"{path.name} is missing, or no plain file")
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(f"{path.name} has more than {_MAX_BYTES} bytes")
    return path.read_bytes()
