"""Wait for what a test expects, whatever the host's load."""

from collections.abc import Callable

from fame_lab.core.wait import wait_until

__all__ = ["wait_for"]


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    """Fail unless a condition comes true in time."""
    assert wait_until(lambda: bool(condition()), seconds, interval=0.01)
