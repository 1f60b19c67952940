"""The demo business: Harbour & Pine, its customers and their last sixty days. Invented, believable, always the same."""
