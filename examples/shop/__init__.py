"""Harbour & Pine: a small shop that knows Regulars only over HTTP. Read README.md beside this file."""
