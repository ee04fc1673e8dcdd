"""Reach a node: connections, commands, files."""
