"""A notebook that is run, and what is kept of it."""
