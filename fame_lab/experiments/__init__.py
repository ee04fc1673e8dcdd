"""Many measurements as one: sweeps, comparisons, reports, and results recorded elsewhere."""
