"""A spec as TOML: written by a person, edited, and started from."""

from __future__ import annotations

import tomllib
from pathlib import Path

import tomli_w

from fame_lab.core.paths import given_path
from fame_lab.core.sizes import format_size
from fame_lab.errors import SpecError
from fame_lab.spec.lab_spec import LabSpec

__all__ = ["from_toml", "read", "to_toml"]

_SIZES = ("fam", "memory", "book")


def to_toml(spec: LabSpec) -> str:
    """Return each field that has a value as TOML, sizes as people write them."""
    values = {field: value for field, value in spec.to_dict().items() if value is not None}
    return tomli_w.dumps(values | {field: format_size(values[field]) for field in _SIZES})


def from_toml(text: str) -> LabSpec:
    """Read fields of a spec; a missing field has its default.

    Raises
    ------
    SpecError
        If it is not TOML, or a field is unknown, missing or wrong.
    """
    return _parse(text, {})


def _parse(text: str, changes: dict[str, object]) -> LabSpec:
    try:
        return LabSpec.from_dict(tomllib.loads(text) | changes)
    except SpecError:
        raise
    # So are a number of thousands of digits, and brackets within brackets.
    except (TypeError, ValueError, RecursionError) as error:
        raise SpecError(f'not a spec in TOML: {error}; a line is like nodes = 2 or fam = "256M"') from error


def read(path: Path, **changes: object) -> LabSpec:
    """Read a spec from a file, with changes to some fields.

    Raises
    ------
    SpecError
        If it cannot be read; see also :func:`from_toml`.
    """
    path = given_path("spec", path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise SpecError(f"cannot read a spec from {str(path)!r}: {error}") from error
    try:
        return _parse(text, changes)
    except SpecError as error:
        error.reword(f"{path}: {error.message}", error.hint)
        raise
