"""Fabric-attached memory, emulated: launch nodes that share one FAM, probe it, watch it."""

__version__ = "0.1.0"
