"""All mock services in one process.

    MOCK_SERVICES_URL=http://localhost:8002 MOCK_SERVICES_CALLBACK=http://localhost:8000/login/callback \\
        granian --interface asgi --factory --port 8002 examples.mock_services.app:app
"""

from __future__ import annotations

import os

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from . import census, recording, webhooks
from .knowers import KNOWERS
from .networks import NETWORKS
from .partners import PARTNERS
from .social import Application, Provider

CLIENT_ID, CLIENT_SECRET = "harbour-and-pine.apps.mock", "mock-secret"


def app() -> Starlette:
    """`/google`, `/facebook` and the other social networks, `/census` the statistics office, `/webhooks` the company's own receiver, `/partners/…`
    the systems that destinations and sources talk to; `/partners` shows what they were sent.

    `MOCK_SERVICES_URL` is this process as browsers see it, `MOCK_SERVICES_CALLBACK` where the social network sends people back.
    """
    url = os.environ.get("MOCK_SERVICES_URL", "http://localhost:8002")
    callback = os.environ.get("MOCK_SERVICES_CALLBACK", "http://localhost:8000/login/callback")
    shop = Application(CLIENT_ID, CLIENT_SECRET, "Harbour & Pine", (callback,))
    return Starlette(
        routes=[
            Route("/healthz", lambda request: JSONResponse({"ready": True})),
            Mount("/google", Provider(f"{url}/google", {shop.client_id: shop}).app()),
            *(
                Mount(f"/{name}", make(f"{url}/{name}", {shop.client_id: shop}).app())
                for name, make in NETWORKS.items()
            ),
            Mount("/census", census.app()),
            Mount("/webhooks", webhooks.app()),
            *(Mount(f"/partners/{name}", make()) for name, make in {**PARTNERS, **KNOWERS}.items()),
            Mount("/partners", recording.pages()),
        ]
    )
