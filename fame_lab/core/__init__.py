"""The lowest layer, which uses no other: sizes, paths, values, files, compiled programs."""
