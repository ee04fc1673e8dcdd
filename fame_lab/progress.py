"""Bars that show what goes on: a widget in a notebook, a line in a terminal."""

from __future__ import annotations

import os
import sys
from typing import Any

import tqdm
import tqdm.auto

from fame_lab.hosting import RUN_VARIABLE
from fame_lab.spec import LabSpec

__all__ = ["LaunchProgress"]


class LaunchProgress:
    """The start of a lab, as one bar over its nodes.

    Parameters
    ----------
    spec : LabSpec
    shown : bool
        Whether there is a bar at all.
    """

    def __init__(self, spec: LabSpec, *, shown: bool) -> None:
        self._spec = spec
        self._shown = shown
        self._stages: dict[str, str] = {}
        self._bar: Any = None

    def __enter__(self) -> LaunchProgress:
        # Nobody sees a widget in a notebook that is executed for a report: its bar is a line of text.
        unattended = RUN_VARIABLE in os.environ
        kind = tqdm.tqdm if unattended else tqdm.auto.tqdm
        self._bar = kind(
            total=self._spec.nodes,
            desc=self._spec.name,
            unit="node",
            disable=not self._shown,
            file=sys.stdout if unattended else None,
            leave=True,
        )
        return self

    def show(self, who: str, stage: str) -> None:
        """Show that a node, or the lab itself, has come to a stage."""
        if who in self._spec.node_names:
            self._stages[who] = stage
            if stage == "ready":
                self._bar.update()
            coming = [f"{node} {at}" for node, at in sorted(self._stages.items()) if at != "ready"]
            self._bar.set_postfix_str(", ".join(coming[:4]))
        else:
            self._bar.set_postfix_str(stage)

    def __exit__(self, *_: object) -> None:
        self._bar.close()
