"""Factors besides a password: an authenticator app, recovery codes, passkeys.

For customers and staff; the interfaces decide when a factor is asked. The rows and the protocols are allauth's.
"""
