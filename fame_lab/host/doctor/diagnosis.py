"""The doctor's diagnosis: a list of checks as data, shown in a terminal, in a notebook, or as JSON."""

from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass
from typing import Any, Literal

from fame_lab.core.html import render

__all__ = ["Ability", "Check", "Diagnosis", "QemuCheck", "Verdict"]

Verdict = Literal["ok", "warn", "fail"]

_COLOURS: dict[Verdict, str] = {
    "ok": "#2f9e5f",
    "warn": "#c98500",
    "fail": "#dc4545",
}  # read on dark and light

_PAGE = """\
{% set cell = "text-align:left;vertical-align:top;padding:.2em .6em" %}
<div style="max-width:60em"><table style="border-collapse:collapse;text-align:left"><tbody>
{% for check, colour, abilities in rows %}
<tr><td style="{{ cell }};color:{{ colour }};font-weight:bold">{{ check.verdict }}</td>
<td style="{{ cell }};font-weight:bold;white-space:nowrap">{{ check.name }}</td>
<td style="{{ cell }};white-space:normal;overflow-wrap:anywhere">{{ check.found }}
{%- for ability in abilities %}<br>{{ ability }}{% endfor %}
{% if check.mend %}<br><em style="opacity:.8">{{ check.mend }}</em>{% endif %}</td></tr>
{% endfor %}
</tbody></table>
<p style="margin:.5em 0"><strong>{{ summary }}</strong></p></div>"""


@dataclass(frozen=True)
class Check:
    """One thing looked at on this host.

    Parameters
    ----------
    name : str
        What was looked at.
    verdict : {"ok", "warn", "fail"}
        ``warn`` is a lab that runs slower or smaller than it could, ``fail`` one that cannot run.
    found : str
        What was seen.
    mend : str
        What to do about it; empty where nothing is to be done.
    """

    name: str
    verdict: Verdict
    found: str
    mend: str = ""


@dataclass(frozen=True)
class Ability:
    """One thing that a QEMU can do for a lab, or cannot.

    Parameters
    ----------
    name : str
    works : bool
    reason : str
        Why not, or how it was tried.
    """

    name: str
    works: bool
    reason: str = ""

    def __str__(self) -> str:
        answer = "yes" if self.works else "no"
        return f"{self.name}: {answer}{f' ({self.reason})' if self.reason else ''}"


@dataclass(frozen=True)
class QemuCheck(Check):
    """One QEMU that was looked at.

    Parameters
    ----------
    qemu : str
        What ``LabSpec(qemu=...)`` takes for it; ``auto`` is the host's own.
    path : str
    version : str
        Empty if it does not tell.
    abilities : tuple of Ability
        What it can do, in one order for all; empty if it is none.
    """

    qemu: str = "auto"
    path: str = ""
    version: str = ""
    abilities: tuple[Ability, ...] = ()


@dataclass(frozen=True)
class Diagnosis:
    """All checks of one visit.

    Parameters
    ----------
    checks : tuple of Check
    """

    checks: tuple[Check, ...]

    @property
    def can_run(self) -> bool:
        """Whether a lab can run on this host: nothing failed."""
        return all(check.verdict != "fail" for check in self.checks)

    @property
    def summary(self) -> str:
        """One sentence over all checks."""
        failed = [check.name for check in self.checks if check.verdict == "fail"]
        if failed:
            return f"No lab can run on this host yet: mend {', '.join(failed)}."
        warned = [check.name for check in self.checks if check.verdict == "warn"]
        return f"A lab can run on this host{'; see ' + ', '.join(warned) if warned else ''}."

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {"can_run": self.can_run, "checks": [asdict(check) for check in self.checks]}

    def __str__(self) -> str:
        width = max((len(check.name) for check in self.checks), default=0)
        lines = []
        for check in self.checks:
            lines += _folded(f"{check.verdict:<4}  {check.name:<{width}}  ", check.found)
            for ability in _abilities(check):
                lines += _folded(" " * (width + 8), str(ability))
            if check.mend:
                lines += _folded(" " * (width + 8), f"-> {check.mend}")
        return "\n".join([*lines, "", self.summary])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = [(check, _COLOURS[check.verdict], _abilities(check)) for check in self.checks]
        return render(_PAGE, rows=rows, summary=self.summary)


def _abilities(check: Check) -> tuple[Ability, ...]:
    return check.abilities if isinstance(check, QemuCheck) else ()


def _folded(head: str, text: str) -> list[str]:
    return textwrap.wrap(
        text,
        100,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_on_hyphens=False,
        break_long_words=False,
    ) or [head.rstrip()]
