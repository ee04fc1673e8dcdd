"""Cross-node traffic: which node touches which part of FAM."""
