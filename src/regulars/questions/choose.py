"""Which question to ask next, or why none. Plain functions."""
