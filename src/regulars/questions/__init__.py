"""What may be asked of a customer, when, and what came of it."""
