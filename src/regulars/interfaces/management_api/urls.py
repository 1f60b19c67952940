"""Where the API stands, and its description at `/api/openapi.json`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path
from ninja import NinjaAPI

from . import apis, asking, clients, connections, grants, identities, own, users
from .body import StrictParser
from .errors import answer_errors

api = NinjaAPI(
    title="Regulars",
    version="1",
    description="Auth0's Management API for users, clients, APIs, grants and connections; segments and facts under /api/regulars/v1; "
    "questions inside an app, with the customer's own token, under /api/me.",
    docs_url=None,
    urls_namespace="api",
    parser=StrictParser(),
)
answer_errors(api)
api.add_router("/v2", users.router)
api.add_router("/v2", identities.router)
api.add_router("/v2", clients.router)
api.add_router("/v2", apis.router)
api.add_router("/v2", grants.router)
api.add_router("/v2", connections.router)
api.add_router("/regulars/v1", own.router)
api.add_router("/me", asking.router)

urlpatterns: list[URLPattern | URLResolver] = [path("", api.urls)]
