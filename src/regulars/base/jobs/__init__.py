"""Durable background work: written in the transaction that needs it, done at least once, its fate visible."""
