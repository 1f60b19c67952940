"""One file per page: read the request, call one thing, answer."""
