"""Short-lived proofs of who somebody is, which one door gives and another takes: codes by mail, login tickets."""
