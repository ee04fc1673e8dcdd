"""What changes in FAM, seen by looking at it again and again."""
