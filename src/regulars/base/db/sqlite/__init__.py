"""Django's own backend for SQLite, whose writers wait for each other in one process."""
