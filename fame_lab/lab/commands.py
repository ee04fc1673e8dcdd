"""Commands on the nodes of a lab: one for all of them, or one for each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from fame_lab.core.jobs import parallel
from fame_lab.core.sanitize import quoted
from fame_lab.errors import LabError, SpecError
from fame_lab.guest.ssh.connection import check_command
from fame_lab.guest.ssh.run_result import RunResults

if TYPE_CHECKING:
    from fame_lab.lab.node import Node
    from fame_lab.spec.lab_spec import LabSpec

__all__ = ["Commands"]

T = TypeVar("T")


class Commands(ABC):
    """What a lab does with its nodes by their shells."""

    spec: LabSpec

    @property
    @abstractmethod
    def nodes(self) -> tuple[Node, ...]:
        """The nodes, in order."""

    def node(self, name: str) -> Node:
        """Return a node by its name.

        Parameters
        ----------
        name : str
            Such as ``node01``.

        Returns
        -------
        Node

        Raises
        ------
        LabError
            If there is none of that name.
        """
        nodes = {node.name: node for node in self.nodes}
        if name not in nodes:
            raise LabError(f"{self.spec.name} has no node {quoted(name)}; it has {', '.join(nodes)}")
        return nodes[name]

    def run(self, command: str, *, check: bool = True, timeout: float | None = None) -> RunResults:
        """Run a command on every node, in parallel, once on each.

        Parameters
        ----------
        command : str
            For each node's shell.
        check : bool
            Whether a status other than 0 raises.
        timeout : float, optional
            Seconds after which each is given up; by default they may take as long as they like.

        Returns
        -------
        RunResults
            A dict of RunResult, by the node's name.

        Raises
        ------
        CommandError, SSHError
            What the first node, in order, raised; every node has ended its part then.
        """
        return RunResults(self.each(self.nodes, lambda node: node.run(command, check=check, timeout=timeout)))

    def run_each(
        self, commands: Mapping[str, str], *, check: bool = True, timeout: float | None = None
    ) -> RunResults:
        r"""Run on each node that is named a command of its own, in parallel, once.

        Parameters
        ----------
        commands : mapping of str to str
            By the node's name, the command for its shell. Nodes that are not named run nothing.
        check : bool
            Whether a status other than 0 raises.
        timeout : float, optional
            Seconds after which each is given up; by default they may take as long as they like.

        Returns
        -------
        RunResults
            A dict of RunResult, by the node's name, in the nodes' order.

        Raises
        ------
        SpecError
            If it is no such mapping, is empty, or a command is no text.
        LabError
            If there is no node of a name. Nothing has run then.
        CommandError, SSHError
            What the first node, in order, raised; every node has ended its part then.

        Examples
        --------
        >>> lab.run_each({"node01": "./producer", "node02": "./consumer"})  # doctest: +SKIP
        """
        nodes = self._named(commands)
        return RunResults(
            self.each(nodes, lambda node: node.run(commands[node.name], check=check, timeout=timeout))
        )

    def _named(self, commands: Mapping[str, str]) -> list[Node]:
        """Return the nodes that are to run something; raise if any of it cannot be run."""
        if not isinstance(commands, Mapping):
            raise SpecError(
                f"the commands are {quoted(commands)}",
                hint='give a dict of nodes\' names and commands, such as {"node01": "uname -r"}',
            )
        if not commands:
            raise SpecError("no node is named", hint="give each that is to run something its command")
        for name, command in commands.items():
            if not isinstance(name, str):
                raise SpecError(f"{quoted(name)} is no node's name", hint="give a string, such as 'node01'")
            self.node(name)
            try:
                check_command(command)
            except SpecError as error:
                raise SpecError(f"{name}: {error}") from None
        return [node for node in self.nodes if node.name in commands]

    def each(self, nodes: Sequence[Node], do: Callable[[Node], T]) -> dict[str, T]:
        """Do something with several nodes at once, in a thread each.

        Ctrl-C ends what they run, in the guests too.

        Parameters
        ----------
        nodes : sequence of Node
        do : callable
            Called with a node.

        Returns
        -------
        dict
            What `do` gave, by the node's name. If it raised, so does this, once every node has ended: what
            the first of them raised, in order.
        """
        return parallel.each(self.spec.name, nodes, do)
