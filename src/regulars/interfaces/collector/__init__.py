"""Where events come in: Segment's HTTP API as raw ASGI, acknowledged only once it is on disk."""
