"""Widgets for a notebook: faces of the public surface, which nothing else calls but to show itself."""
