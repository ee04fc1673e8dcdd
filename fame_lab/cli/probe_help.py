"""The help of ``fame-lab probe``: what a probe that is named takes, as its ``run`` declares it."""

from __future__ import annotations

import argparse
import textwrap
from typing import Any

from fame_lab.errors import SpecError
from fame_lab.probes.common.parameters import parameters

__all__ = ["ProbeHelp"]


class ProbeHelp(argparse.Action):
    """Prints the help; after the name of a probe, its parameters too."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, *_: Any, **__: Any
    ) -> None:
        """Print it, and end the program."""
        probe = getattr(namespace, "probe", None)
        try:
            listed = parameters(probe) if probe else []
        except SpecError as error:
            parser.error(str(error))
        parser.print_help()
        if listed:
            print(f"\nparameters of {probe}, each by -p NAME=VALUE:")
        for each in listed:
            usual = f"; by default {each.text}" if each.text else ""
            print(f"  {each.name}: {each.takes}{usual}")
            if each.words:
                print(textwrap.fill(each.words, 100, initial_indent=" " * 6, subsequent_indent=" " * 6))
        parser.exit()
