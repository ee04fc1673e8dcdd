"""Reports: a notebook, executed, with its data and its manifest."""
