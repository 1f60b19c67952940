"""A mock service for storage that speaks S3: one bucket in memory. Enough for writing, listing, reading and deleting files.

It knows no prefix of the path, as S3 does not, so it runs in a process of its own. The access key `wrong` is refused.
"""

from __future__ import annotations

from xml.sax.saxutils import escape

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .recording import WRONG

DATE, ETAG = "2026-11-23T10:00:00.000Z", '"mock"'


def app() -> Starlette:
    objects: dict[str, bytes] = {}
    parts: dict[str, dict[int, bytes]] = {}

    async def bucket(request: Request) -> Response:
        if f"Credential={WRONG}" in request.headers.get("authorization", ""):
            return _xml("<Error><Code>AccessDenied</Code><Message>No</Message></Error>", 403)
        return _list(request, objects)

    async def one(request: Request) -> Response:
        key, asked = request.path_params["key"], request.query_params
        if f"Credential={WRONG}" in request.headers.get("authorization", ""):
            return _xml("<Error><Code>AccessDenied</Code><Message>No</Message></Error>", 403)
        match request.method:
            case "POST" if "uploads" in asked:
                parts[key] = {}
                return _xml("<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>")
            case "POST":
                objects[key] = b"".join(each for _, each in sorted(parts.pop(key).items()))
                return _xml(f"<CompleteMultipartUploadResult><ETag>{ETAG}</ETag></CompleteMultipartUploadResult>")
            case "PUT":
                body = _unfolded(await request.body(), request.headers.get("content-encoding", ""))
                if "partNumber" in asked:
                    parts[key][int(asked["partNumber"])] = body
                else:
                    objects[key] = body
                return Response(headers={"etag": ETAG})
            case "DELETE":
                objects.pop(key, None)
                return Response(status_code=204)
        return _read(request, objects.get(key))

    methods = ["GET", "HEAD", "PUT", "POST", "DELETE"]
    return Starlette(
        routes=[
            Route("/{bucket}", bucket, methods=["GET", "HEAD", "POST"]),
            Route("/{bucket}/{key:path}", one, methods=methods),
        ]
    )


def _list(request: Request, objects: dict[str, bytes]) -> Response:
    prefix = request.query_params.get("prefix", "")
    found = "".join(
        f"<Contents><Key>{escape(key)}</Key><Size>{len(body)}</Size><LastModified>{DATE}</LastModified></Contents>"
        for key, body in sorted(objects.items())
        if key.startswith(prefix)
    )
    return _xml(f"<ListBucketResult><IsTruncated>false</IsTruncated>{found}</ListBucketResult>")


def _read(request: Request, body: bytes | None) -> Response:
    if body is None:
        return _xml("<Error><Code>NoSuchKey</Code></Error>", 404)
    headers = {"etag": ETAG, "last-modified": "Mon, 23 Nov 2026 10:00:00 GMT"}
    first, _, last = request.headers.get("range", "").removeprefix("bytes=").partition("-")
    if request.method == "GET" and first:
        end = int(last) + 1 if last else len(body)
        part = body[int(first) : end]
        span = f"bytes {first}-{int(first) + len(part) - 1}/{len(body)}"
        return Response(part, 206, {**headers, "content-range": span})
    return Response(body, headers=headers)


def _unfolded(body: bytes, encoding: str) -> bytes:
    """Return the content of `aws-chunked`: a size in hex before each chunk, checksums after the last."""
    if "aws-chunked" not in encoding:
        return body
    content = b""
    while True:
        size, _, body = body.partition(b"\r\n")
        count = int(size.partition(b";")[0], 16)
        if count == 0:
            return content
        content, body = content + body[:count], body[count + 2 :]


def _xml(text: str, status: int = 200) -> Response:
    return Response(f'<?xml version="1.0"?>{text}', status, media_type="application/xml")
