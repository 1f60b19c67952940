"""Segments: named conditions with a purpose, and the membership of each customer: in, out or unknown."""
