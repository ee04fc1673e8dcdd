"""The doctor: what this host can do for a lab, by trial."""
