"""The notebook's magics: ``%%node`` and ``%%nodes`` run a cell in the guests."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from IPython.core.magic import Magics, cell_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
from IPython.display import display

from fame_lab.core.jobs.cancellation import shielded
from fame_lab.errors import LabError, SpecError
from fame_lab.guest.c_program import compile_c
from fame_lab.guest.ssh.run_result import RunResult, RunResults
from fame_lab.lab.lab import Lab
from fame_lab.lab.node import Node

__all__ = ["FameMagics"]


def _shared(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the arguments that both magics have."""
    for add in (
        argument("--args", default="", metavar="'WORDS'", help="of the program, with --c"),
        argument("--no-raise", action="store_true", help="go on if the exit status is not 0"),
        argument("--timeout", type=float, metavar="SECONDS", help="to wait for it"),
        argument("--c", action="store_true", help="the cell is a C program: compile it here, run it there"),
        argument("--lab", metavar="NAME", help="needed only where several run"),
    ):
        function = add(function)
    return function


@magics_class
class FameMagics(Magics):
    """``%%node`` and ``%%nodes``."""

    @magic_arguments()  # type: ignore[untyped-decorator]
    @argument("node", help="such as node01")  # type: ignore[untyped-decorator]
    @_shared
    @cell_magic
    def node(self, line: str, cell: str) -> None:
        """Run the cell on one node, by its shell; with --c, as a C program."""
        options = parse_argstring(self.node, line)
        with self._lab(options.lab) as lab:
            self._run(lab, [lab.node(options.node)], cell, options)

    @magic_arguments()  # type: ignore[untyped-decorator]
    @_shared
    @cell_magic
    def nodes(self, line: str, cell: str) -> None:
        """Run the cell on every node at once, by its shell; with --c, as a C program."""
        options = parse_argstring(self.nodes, line)
        with self._lab(options.lab) as lab:
            self._run(lab, lab.nodes, cell, options)

    def _run(self, lab: Lab, nodes: Sequence[Node], cell: str, options: argparse.Namespace) -> None:
        run = _program if options.c else _script
        with run(cell, options) as on:
            results = RunResults(lab.each(nodes, on))
        display(results)
        if not options.no_raise:
            results.check()

    @contextlib.contextmanager
    def _lab(self, name: str | None) -> Iterator[Lab]:
        """Return the lab of that name, or the notebook's only one; attach to it for this cell if need be."""
        variables = {} if self.shell is None else self.shell.user_ns
        labs = {
            value.spec.name: value
            for value in variables.values()
            if isinstance(value, Lab) and value.is_running
        }
        if name is None and len(labs) == 1:
            name = next(iter(labs))
        if name is None:
            names = ", ".join(labs or [entry.name for entry in Lab.list()]) or "none"
            many = "several labs run" if labs else "no lab runs"
            raise LabError(f"{many} in this notebook", hint=f"say which by --lab NAME; there are: {names}")
        if name in labs:
            yield labs[name]
            return
        attached = Lab.attach(name)
        try:
            yield attached
        finally:
            attached.detach()


Ran = Callable[[Node], RunResult]


@contextlib.contextmanager
def _script(cell: str, options: argparse.Namespace) -> Iterator[Ran]:
    if options.args:
        raise SpecError(
            f"--args is {options.args!r}, and the cell no program", hint="give --c, or put it into the cell"
        )
    yield lambda node: node.run(cell, check=False, timeout=options.timeout)


@contextlib.contextmanager
def _program(cell: str, options: argparse.Namespace) -> Iterator[Ran]:
    # IPython leaves the quotes around an argument; those within it part the words.
    words = shlex.split(" ".join(shlex.split(options.args)))
    remote = f"/tmp/fame-cell-{uuid.uuid4().hex}"  # noqa: S108 - in the guest
    with tempfile.TemporaryDirectory(prefix="fame-cell-") as directory:
        program = compile_c(cell, Path(directory) / "program")

        def run(node: Node) -> RunResult:
            node.put(program, remote, mode=0o755)
            try:
                return node.run(shlex.join([remote, *words]), check=False, timeout=options.timeout)
            finally:
                with shielded():
                    node.run(f"rm -f {remote}", check=False)

        yield run
