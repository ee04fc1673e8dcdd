"""From a spec to proved nodes, and back to a host as it was."""
