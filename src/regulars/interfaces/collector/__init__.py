"""The collector: Segment's HTTP API as raw ASGI, acknowledged only once messages are on disk."""
