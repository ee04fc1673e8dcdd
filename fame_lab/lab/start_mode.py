"""How a node starts: by a boot of its own, or restored from a template."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from fame_lab.host.libvirt.template_args import TemplateFiles

__all__ = ["Stage", "StartMode", "Tell"]


@dataclass(frozen=True)
class StartMode:
    """How a node is to come up.

    Parameters
    ----------
    template : TemplateFiles, optional
        What it is restored from; None for a cold start.
    reason : str
        Why so, in a few words.
    """

    template: TemplateFiles | None
    reason: str

    @property
    def kind(self) -> Literal["cold", "template"]:
        """The word for it."""
        return "cold" if self.template is None else "template"


Stage = str
#: Told as each node gets there: (node, stage).
Tell = Callable[[str, Stage], None]
