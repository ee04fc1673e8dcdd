"""Stand-ins for a Dask worker's labs, which it loads first: of a lab's life only its files are real."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from stand_in_lab import StandInLab

from fame_lab.experiments.sweep import dask_cluster, point_runner
from fame_lab.spec.lab_spec import LabSpec


class FileLab(StandInLab):
    """A lab that is a file in ``$STAND_IN_LABS`` while it runs, and notes its requests there."""

    @property
    def file(self) -> Path:
        return Path(os.environ["STAND_IN_LABS"]) / self.spec.name

    def start(self, **words: Any) -> StandInLab:
        self.file.write_text(str(os.getpid()))
        return super().start(**words)

    def stop(self) -> None:
        self.file.unlink(missing_ok=True)
        super().stop()


def _asked(spec: LabSpec, parameters: dict[str, Any]) -> None:
    with (Path(os.environ["STAND_IN_LABS"]) / "asked").open("a") as file:
        file.write(f"{spec.nodes} {parameters['strides']}\n")
    time.sleep(0.3)


setattr(point_runner, "Lab", FileLab.fresh(_asked))  # noqa: B010 - which no type checker likes
dask_cluster._IDLE = 2.0
