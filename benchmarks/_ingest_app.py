"""The collector, and beside it on the same server a handler that reads and parses the same bodies and keeps nothing."""

from __future__ import annotations

import os

import django
import msgspec

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "regulars.settings")
django.setup()

from regulars.interfaces.collector.app import SUCCESS, Collector, Receive, Scope, Send  # noqa: E402

collector = Collector()


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
    elif collector.takes(scope["path"]):
        await collector(scope, receive, send)
    else:
        await _parse_only(receive, send)


async def _parse_only(receive: Receive, send: Send) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    assert msgspec.json.decode(body)["batch"]
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(SUCCESS)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": SUCCESS})


async def _live(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await collector.close()
    await send({"type": "lifespan.shutdown.complete"})
