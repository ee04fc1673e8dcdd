"""Where the tests and what they test lie."""

from pathlib import Path

__all__ = ["ROOT", "SUPPORT"]

#: Modules that the tests share; it is on the path of every Python program that they start.
SUPPORT = Path(__file__).parent
ROOT = SUPPORT.parent.parent
