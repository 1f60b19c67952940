"""For SDKs that insist on https: the seam that they offer for an HTTP client, with TLS left out."""

from __future__ import annotations

import httpx


class WithoutTls(httpx.HTTPTransport):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(scheme="http")
        return super().handle_request(request)
