"""Two measurements, or two reports, side by side: how they were made, then what they say."""
