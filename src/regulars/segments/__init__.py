"""Who: named conditions with a purpose, and who is in, out or unknown."""
