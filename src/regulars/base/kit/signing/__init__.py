"""Signing keys and signed tokens, for whoever issues or checks one."""
