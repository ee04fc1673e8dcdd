"""How the host reaches a node: connections, commands, files."""
