"""Plain decisions about a rule run: what of its result counts."""
