"""What the probes share: where they measure, how nodes start together, how distributions are read."""
