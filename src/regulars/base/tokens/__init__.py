"""Signing keys, signed tokens (`jwt`), DPoP proofs, and single use of token ids."""
