"""Static files and the drawing library of charts are served beside Django's threads."""

from __future__ import annotations

import threading

import pytest
from tests.serving.test_exchange import no_body, scope_of
from tests.serving.test_pool import run

from regulars.serving.pool import THREADS
from regulars.serving.root import Root

SCRIPT = "/static/console/console.js"


async def get(root: Root, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    sent: list[dict] = []

    async def send(message):
        sent.append(message)

    scope = {**scope_of(path), "method": method, "scheme": "https"}
    scope["headers"] = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    await root(scope, no_body, send)
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], found, b"".join(message.get("body", b"") for message in sent[1:])


@pytest.fixture(scope="module")
def root() -> Root:
    return Root()


@pytest.mark.parametrize("path", [SCRIPT, "/console/charts.js"])
def test_files_are_served_while_every_thread_is_taken(settings, tmp_path, path):
    settings.HOME = tmp_path
    root, release = Root(), threading.Event()

    async def ask():
        for _ in range(2 * THREADS):
            root.pool.executor.submit(release.wait, 30)
        try:
            return await get(root, path)
        finally:
            release.set()

    status, headers, body = run(ask())

    assert status == 200
    assert int(headers["content-length"]) == len(body)
    assert headers["content-type"].startswith("text/javascript")
    assert headers["x-content-type-options"] == "nosniff"
    assert ("immutable" in headers["cache-control"]) is (path != SCRIPT)
    assert (b"vegaEmbed" in body) is (path != SCRIPT)


def test_a_file_that_is_known_is_not_sent_again(root):
    etag = run(get(root, SCRIPT))[1]["etag"]
    status, _, body = run(get(root, SCRIPT, if_none_match=etag))

    assert (status, body) == (304, b"")


def test_parts_and_heads_of_files_are_served(root):
    whole = run(get(root, SCRIPT))[2]
    status, headers, part = run(get(root, SCRIPT, range="bytes=5-9"))
    head = run(get(root, SCRIPT, "HEAD"))

    assert (status, part, headers["content-length"]) == (206, whole[5:10], "5")
    assert (head[0], head[1]["content-length"], head[2]) == (200, str(len(whole)), b"")
    assert run(get(root, SCRIPT, "POST"))[0] == 405


def test_hsts_is_sent_with_files_over_https(root, settings):
    settings.SECURE_HSTS_SECONDS = 60

    assert run(get(root, SCRIPT))[1]["strict-transport-security"] == "max-age=60"


def test_a_disk_that_takes_no_drawing_library_is_a_503(settings, tmp_path):
    (tmp_path / "file").write_text("")
    settings.HOME = tmp_path / "file"

    assert run(get(Root(), "/console/charts.js"))[0] == 503


@pytest.mark.parametrize("path", ["/static/../settings.py", "/static/console/../../secret.key", "/static/"])
def test_nothing_else_is_a_static_file(root, path):
    assert not root.static_files.takes(path)
