"""The guest: the image that a node boots, and the probe program in it."""
