"""Stories that cross rooms, one file each, read from top to bottom."""
