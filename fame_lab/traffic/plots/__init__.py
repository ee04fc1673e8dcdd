"""How traffic is drawn: matrix, heat, time, order, side by side, projected."""
