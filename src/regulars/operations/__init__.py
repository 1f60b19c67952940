"""What an operator runs: set-up, backup, restore, doctor."""
