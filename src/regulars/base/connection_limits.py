"""Limits of one web process, for when their variables are not set.

Read by the program that starts the server, which does not load the settings, and by the settings of the server.
"""

from __future__ import annotations

MAX_CONNECTIONS = 4096  # REGULARS_MAX_CONNECTIONS
PER_IP = 100  # REGULARS_CONNECTIONS_PER_IP, REGULARS_REQUESTS_PER_IP
