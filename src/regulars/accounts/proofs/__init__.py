"""Proofs of who a customer is: codes by mail, login tickets, proved addresses."""

FRESH = 600  # seconds after a proof in which a customer may change their account, export their data or erase it
