"""Test without a virtual machine.

:class:`LocalLab` is for a probe of your own: its nodes run the probe program on this host.
:class:`InMemoryHost` is for what starts and ends labs: its nodes are scripted, and run nothing.
"""

from fame_lab.testing.calls import CALLS, Call, Calls
from fame_lab.testing.in_memory_host import InMemoryHost
from fame_lab.testing.in_memory_node import NodeLife
from fame_lab.testing.local_lab import LocalLab, LocalNode

__all__ = ["CALLS", "Call", "Calls", "InMemoryHost", "LocalLab", "LocalNode", "NodeLife"]
