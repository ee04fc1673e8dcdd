"""The lab that the command line describes: by options, by a file, or by a file and what is to differ."""

from __future__ import annotations

import argparse
from dataclasses import fields

from fame_lab.spec import toml
from fame_lab.spec.lab_spec import LabSpec

__all__ = ["spec_of"]


def spec_of(arguments: argparse.Namespace) -> LabSpec:
    """Return the spec; what is given as an option counts, and not what the file says.

    Raises
    ------
    SpecError
        If a field is wrong, or the file is.
    """
    given = {field.name: getattr(arguments, field.name, None) for field in fields(LabSpec)}
    given = {field: value for field, value in given.items() if value is not None}
    if arguments.spec is not None:
        return toml.read(arguments.spec, **given)
    return LabSpec.from_dict(given)
