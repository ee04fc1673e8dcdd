"""The results of KVM trials, kept until what decides them changes."""

from __future__ import annotations

import json
import logging
import tempfile
from pathlib import Path

__all__ = ["remember", "remembered"]

log = logging.getLogger(__name__)

#: Trials that are kept: one user's QEMUs and images, each tried in a moment or patiently.
_MAX_TRIALS = 16


def remembered(memory: Path, key: str) -> tuple[bool, str] | None:
    """Return what a trial found, and whether KVM worked; None if it was not made, or cannot be read."""
    match _read(memory).get(key):
        case [bool(works), str(found)]:
            return works, found
    return None


def remember(memory: Path, key: str, works: bool, found: str) -> None:
    """Keep a trial, and the last few before it; a cache that cannot be written is no obstacle."""
    trials = {name: trial for name, trial in _read(memory).items() if name != key} | {key: [works, found]}
    kept = dict(list(trials.items())[-_MAX_TRIALS:])
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=memory.parent, prefix=".kvm-", delete=False) as file:
            json.dump({"trials": kept}, file)
        Path(file.name).replace(memory)
    except OSError as error:
        log.info("could not remember in %s whether KVM works: %s", memory, error)


def _read(memory: Path) -> dict[str, object]:
    try:
        trials = json.loads(memory.read_text())["trials"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # none was made yet, or it has not this form
    return trials if isinstance(trials, dict) else {}
