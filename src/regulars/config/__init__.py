"""Puts the house together: settings, addresses, the ASGI root and the command line."""
