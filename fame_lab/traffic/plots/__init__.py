"""Plots of traffic: matrix, heat, time, order, side by side, projected."""
