"""Short-lived proofs that one interface gives and another takes: codes by mail, login tickets."""
