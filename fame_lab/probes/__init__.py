"""The probes: one module a family, found by its name.

A family is a module here with two functions: ``run(lab, *, …) -> Result``, which measures, and
``plot(result) -> Figure``, which draws what was measured with no lab running. A new one is a new file.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
from typing import TYPE_CHECKING, Any, Protocol, cast

from fame_lab.core.jobs.progress import job
from fame_lab.core.sanitize import quoted
from fame_lab.errors import SpecError
from fame_lab.results.capture import keep

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fame_lab.host.target import TargetLab
    from fame_lab.results.result import Result

__all__ = ["Family", "family", "names", "plot", "run"]


class Family(Protocol):
    """The functions of a probe's module."""

    def run(self, lab: TargetLab, **parameters: Any) -> Result:
        """Measure on a running lab."""

    def plot(self, result: Result) -> Figure:
        """Draw what was measured."""


def names() -> list[str]:
    """List the probes that there are."""
    return [module.name for module in pkgutil.iter_modules(__path__) if _find(module.name) is not None]


def family(name: str) -> Family:
    """Return the probe of that name.

    Raises
    ------
    SpecError
        If there is none; it lists what there is.
    """
    probe = _find(name)
    if probe is None:
        raise SpecError(f"there is no probe {quoted(name)}; there are {', '.join(names())}")
    return probe


def run(lab: TargetLab, name: str, /, **parameters: Any) -> Result:
    """Measure the clocks of a running lab's nodes in short, then run the probe.

    Parameters
    ----------
    lab : Lab
    name : str
        The probe, one of :func:`names`.
    **parameters
        Its own: see the ``run`` of its module.

    Returns
    -------
    Result
        With ``timer`` in its manifest, see :func:`fame_lab.probes.timer.short`.

    Raises
    ------
    SpecError
        If there is no such probe, it has no such parameter, or a parameter cannot be right.
    ProbeError
        If it cannot give a right number.
    """
    probe = family(name)
    # Imported here because it loads numpy, which a list of names does not need.
    from fame_lab.probes.common.declaration import read_arguments

    parameters = read_arguments(probe.run, parameters, from_text=True, level=5)
    # A lab that showed no progress at its start shows none here.
    with job(name, unit="run", shown=lab.progress):
        from fame_lab.probes import timer

        clocks = None if name == "timer" else timer.short(lab, parameters.get("mapping", "uc"))
        result = probe.run(lab, **parameters)
    if clocks is not None:
        result = dataclasses.replace(result, manifest=result.manifest | {"timer": clocks})
    keep(name, result.save)
    return result


def plot(result: Result) -> Figure:
    """Draw a result with the plot of its probe."""
    return family(result.probe).plot(result)


def __getattr__(name: str) -> Family:
    # So that help(fame_lab.probes.chase.run) needs no import of its own.
    probe = _find(name)
    if probe is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return probe


def _find(name: str) -> Family | None:
    # Only names of files in this package are ever imported, whatever a saved result says it is.
    if name not in {module.name for module in pkgutil.iter_modules(__path__)}:
        return None
    module = importlib.import_module(f"{__name__}.{name}")
    is_family = all(inspect.isfunction(getattr(module, part, None)) for part in ("run", "plot"))
    return cast(Family, module) if is_family else None
