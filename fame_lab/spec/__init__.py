"""The description of a lab, as values alone: its fields, their checks, their file formats."""
