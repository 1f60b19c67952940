"""Charts: one question each."""
