"""The server processes: the ASGI root, the thread pool, TLS, the supervisor."""
