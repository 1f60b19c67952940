"""Signing keys and signed tokens (`signing.tokens`), for whoever issues or checks one."""
