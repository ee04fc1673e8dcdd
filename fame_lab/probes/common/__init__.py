"""Parts that the probes share: placement, barriers, distributions, results."""
