"""Report a SIGBUS, which ends a process that touches a mapping of a truncated file."""

from __future__ import annotations

import faulthandler
import sys

from fame_lab.core.compat import kernel_stderr

__all__ = ["report_fatal_signals"]


def report_fatal_signals() -> None:
    """Enable faulthandler, which prints where a fatal signal struck, unless it is enabled already."""
    if faulthandler.is_enabled() or sys.__stderr__ is None:
        return
    faulthandler.enable(kernel_stderr() or sys.__stderr__)
