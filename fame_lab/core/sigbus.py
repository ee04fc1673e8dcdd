"""A process that touches a mapping of a truncated file dies of SIGBUS: its last words."""

from __future__ import annotations

import faulthandler
import sys

__all__ = ["report_fatal_signals"]


def report_fatal_signals() -> None:
    """Arrange that a fatal signal prints where it struck, unless somebody has arranged that already."""
    if faulthandler.is_enabled() or sys.__stderr__ is None:
        return
    # In a kernel, descriptor 2 leads to a thread of this very process, which does not live to pass it on.
    real = getattr(sys.stderr, "_original_stdstream_copy", None)
    faulthandler.enable(sys.__stderr__ if real is None else real)
