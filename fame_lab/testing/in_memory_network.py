"""A network of nodes in memory: a name in a set."""

from __future__ import annotations

from fame_lab.errors import LabError
from fame_lab.lab.network import SwitchNetwork
from fame_lab.spec.lab_spec import LabSpec
from fame_lab.testing.calls import Calls

__all__ = ["InMemoryNetwork"]


class InMemoryNetwork(SwitchNetwork):
    """A network of the nodes alone, which carries nothing.

    Parameters
    ----------
    spec : LabSpec
    networks : set of str
        The labs that have theirs.
    calls : Calls
    """

    def __init__(self, spec: LabSpec, networks: set[str], calls: Calls) -> None:
        assert spec.addresses is not None  # noqa: S101 - it is asked for only then
        super().__init__(spec, spec.addresses)
        self._networks = networks
        self._calls = calls

    def check(self) -> None:
        """Accept."""
        with self._calls.record("check network", self._spec.name):
            pass

    def make(self, directory: object) -> None:  # noqa: ARG002 - as others
        """Make it."""
        with self._calls.record("make network", self._spec.name):
            if self._spec.name in self._networks:
                raise LabError(f"the network of {self._spec.name!r} exists already")
            self._networks.add(self._spec.name)
