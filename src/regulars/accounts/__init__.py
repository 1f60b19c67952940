"""Accounts, passwords, second factors and the proofs that a sign-in gives."""
