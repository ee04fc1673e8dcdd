"""The results of KVM trials, kept until what decides them changes."""

from __future__ import annotations

import json
import logging
import tempfile
from pathlib import Path
from typing import NamedTuple

__all__ = ["Trial", "remember", "remembered"]

log = logging.getLogger(__name__)

#: Trials that are kept: one user's QEMUs and images, each tried in a moment or patiently.
_MAX_TRIALS = 16


class Trial(NamedTuple):
    """Whether a trial worked, and its result in a few words."""

    works: bool
    reason: str


def remembered(memory: Path, key: str) -> Trial | None:
    """Return the result of a trial; None if there is none that can be read."""
    match _read(memory).get(key):
        case [bool(works), str(reason)]:
            return Trial(works, reason)
    return None


def remember(memory: Path, key: str, trial: Trial) -> None:
    """Write a trial, and the last few before it, to the cache; if it cannot be written, nothing is kept."""
    trials = {name: each for name, each in _read(memory).items() if name != key} | {key: trial}
    newest = dict(list(trials.items())[-_MAX_TRIALS:])
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=memory.parent, prefix=".kvm-", delete=False) as file:
            json.dump({"trials": newest}, file)
        Path(file.name).replace(memory)
    except OSError as error:
        log.info("could not remember in %s whether KVM works: %s", memory, error)


def _read(memory: Path) -> dict[str, object]:
    try:
        trials = json.loads(memory.read_text())["trials"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # there is none yet, or it has another form
    return trials if isinstance(trials, dict) else {}
