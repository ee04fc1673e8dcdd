"""Measured data: held, saved, labelled and drawn."""
