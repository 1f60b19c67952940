"""Which code runs at a moment of the login, and what its result may change."""
