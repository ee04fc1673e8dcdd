"""A probe, measured again and again while the lab and the probe's parameters change."""
