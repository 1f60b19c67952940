"""Use cases: stories that cross packages, one file each, read from top to bottom."""
