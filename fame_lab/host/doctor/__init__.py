"""What this host can do for a lab, as it was tried."""
