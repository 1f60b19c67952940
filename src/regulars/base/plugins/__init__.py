"""Plug-ins: found through entry points, with settings that they declare."""
