"""The progress of a lab's start, as a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fame_lab.core.jobs.progress import SILENT, job

if TYPE_CHECKING:
    from fame_lab.spec.lab_spec import LabSpec

__all__ = ["LaunchProgress"]


class LaunchProgress:
    """The start of a lab: a job with a step for each node.

    Parameters
    ----------
    spec : LabSpec
    shown : bool
        Whether there is a bar at all.
    """

    def __init__(self, spec: LabSpec, *, shown: bool) -> None:
        self._spec = spec
        self._stages: dict[str, str] = {}
        self._manager = job(spec.name, total=spec.nodes, unit="node", shown=shown)
        self._job = SILENT

    def __enter__(self) -> LaunchProgress:
        self._job = self._manager.__enter__()
        return self

    def show(self, who: str, stage: str) -> None:
        """Show that a node, or the lab itself, has come to a stage."""
        if who not in self._spec.node_names:
            self._job.describe(stage)
            return
        self._stages[who] = stage
        coming = ", ".join([f"{node} {at}" for node, at in sorted(self._stages.items()) if at != "ready"][:4])
        if stage == "ready":
            self._job.step(coming or "ready")
        else:
            self._job.describe(coming)

    def __exit__(self, *error: object) -> None:
        self._manager.__exit__(*error)  # type: ignore[arg-type]
