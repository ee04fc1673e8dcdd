"""A run of the probe program, as a step of the current job."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from fame_lab.core.jobs.progress import current

__all__ = ["in_words", "program_run"]

#: Options whose values tell a run from those before and after it.
_TELLING = ("--op", "--variant", "--test", "--lock", "--role", "--order", "--distance", "--memory")


@contextmanager
def program_run(node: str, arguments: Sequence[str]) -> Iterator[None]:
    """Report to the current job what runs where, and count it once it has ended well."""
    job = current()
    job.describe(f"{node} {in_words(arguments)}")
    yield
    job.step()


def in_words(arguments: Sequence[str]) -> str:
    """Return what is asked of the program, in a few words.

    Examples
    --------
    >>> in_words(["chase", "--order", "random", "--stride", "64", "--memory", "fam"])
    'chase random fam'
    >>> in_words(["workload", "gups", "--operations", "1000"])
    'workload gups'
    """
    command, *options = arguments
    words = [command, *options[:1]] if options and not options[0].startswith("--") else [command]
    words += [value for name, value in itertools.pairwise(options) if name in _TELLING]
    return " ".join(words)
