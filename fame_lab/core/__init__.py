"""What every layer may use and what uses none of them: sizes, paths, values, files, compiled programs."""
