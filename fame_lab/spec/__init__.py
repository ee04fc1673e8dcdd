"""What a lab is, as values alone: its fields, their checks, and the forms in which they are read."""
