"""Widgets for a notebook: faces of the public surface, which no other layer uses."""
