"""Durable background jobs: written in the transaction that needs them, run at least once, with a visible state."""
