"""Signing keys, signed tokens (`jwt`) and their kinds, DPoP proofs, and single use of token ids."""
