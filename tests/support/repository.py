"""The places of the tests and of the repository."""

from pathlib import Path

__all__ = ["ROOT", "SUPPORT"]

#: Modules that the tests share; it is on the path of every Python program that they start.
SUPPORT = Path(__file__).parent
ROOT = SUPPORT.parent.parent
