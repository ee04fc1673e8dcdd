"""Samples: what changes in FAM between two looks."""
