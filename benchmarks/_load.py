"""Sends batches over open connections for some seconds and prints how many were answered 200 per second.

    python -m benchmarks._load PORT PATH KEY SECONDS

Plain sockets: a client that costs more than the server would measure itself.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import sys
import time
import uuid

EVENTS = 100  # in a batch
CONNECTIONS = 16
MARK = b"@@@@@@@@@@@@@@@@"  # becomes the number of the batch, so that no message id comes twice


def batch() -> bytes:
    """As a storefront sends it: page views and products, each with a small context."""
    run = uuid.uuid4().hex[:8]
    messages = [
        {
            "type": "track",
            "event": "Product Viewed",
            "messageId": f"{run}-{MARK.decode()}-{number}",
            "anonymousId": f"visitor-{number % 10}",
            "timestamp": "2026-01-01T10:00:00.000Z",
            "properties": {"product_id": "quay-parka", "category": "jackets", "price": 249, "currency": "EUR"},
            "context": {"library": {"name": "analytics.js", "version": "2.1.0"}, "page": {"path": "/quay-parka"}},
        }
        for number in range(EVENTS)
    ]
    return json.dumps({"batch": messages, "sentAt": "2026-01-01T10:00:01.000Z"}).encode()


async def send_until(deadline: float, port: int, head: bytes, body: bytes, numbers: itertools.count[int]) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answered = 0
    while time.monotonic() < deadline:
        writer.write(head + body.replace(MARK, b"%016d" % next(numbers)))
        answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 200 "):
            sys.exit(f"answered {answer[:60]!r}")
        await reader.readexactly(int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        answered += 1
    writer.close()
    return answered


async def load(port: int, path: str, key: str, seconds: float) -> float:
    body, numbers = batch(), itertools.count()
    basic = base64.b64encode(f"{key}:".encode()).decode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {basic}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    began = time.monotonic()
    sending = (send_until(began + seconds, port, head, body, numbers) for _ in range(CONNECTIONS))
    answered = sum(await asyncio.gather(*sending))
    return answered * EVENTS / (time.monotonic() - began)


if __name__ == "__main__":
    print(asyncio.run(load(int(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4]))))
