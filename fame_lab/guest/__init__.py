"""What runs in a node: the image it boots, and the probe program in it."""
