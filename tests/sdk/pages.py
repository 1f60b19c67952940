"""The pages of an app in the browser, and the SDKs' files beside them, on https://localhost."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from .tls import Certificate

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
OF_OURS = ("/component.html", "/questions.html")


@contextmanager
def pages(certificate: Certificate, port: int, config: dict[str, Any], bundles: Path) -> Iterator[None]:
    """`/<page>.html` from the folder beside this file, `/modules/…` from the packages, `/config.js` as `window.config`.

    Lock ships no file for browsers: `bundles` gets one, at `/bundles/lock.js`.
    """
    subprocess.run(["node", "bundle_lock.mjs", str(bundles / "lock.js")], cwd=HERE, check=True)

    class Handler(SimpleHTTPRequestHandler):
        def translate_path(self, path: str) -> str:
            path = path.partition("?")[0]
            if path.startswith("/modules/"):
                return str(MODULES / path.removeprefix("/modules/"))
            if path.startswith("/bundles/"):
                return str(bundles / path.removeprefix("/bundles/"))
            return str(HERE / "pages" / path.lstrip("/"))

        def do_GET(self) -> None:
            if self.path == "/config.js":
                self._respond(f"window.config = {json.dumps(config)};".encode(), "text/javascript")
            else:
                super().do_GET()

        def end_headers(self) -> None:
            if self.path.startswith(OF_OURS):  # the strictest policy under which the components work
                at = f"https://{config['domain']}"
                policy = f"default-src 'none'; script-src 'self' {at}; connect-src {at}; style-src 'self'"
                self.send_header("Content-Security-Policy", policy)
            super().end_headers()

        def _respond(self, body: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.socket = certificate.server_context().wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
