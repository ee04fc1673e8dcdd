"""Wait for a condition that a test expects, under any load of the host."""

from collections.abc import Callable

from fame_lab.core.wait import wait_until

__all__ = ["wait_for"]


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    """Wait for a condition; raise if it does not come true in time."""
    assert wait_until(lambda: bool(condition()), seconds, interval=0.01)
