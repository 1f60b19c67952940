"""The addresses under `/api/`, and their description at `/api/openapi.json`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path
from ninja import NinjaAPI

from regulars.interfaces.api import profiles, questions, segments
from regulars.interfaces.http_api.error_responses import install_error_handlers
from regulars.interfaces.http_api.requests import StrictParser
from regulars.interfaces.management_api import (
    client_grants,
    clients,
    connections,
    grants,
    resource_servers,
    user_identities,
    users,
)

ROUTERS = {
    "/v2": (
        user_identities.router,  # before the users, whose ids may have slashes
        users.router,
        clients.router,
        resource_servers.router,
        client_grants.router,
        grants.router,
        connections.router,
    ),
    "/regulars/v1": (segments.router, profiles.router),
    "/me": (questions.router,),
}

api = NinjaAPI(
    title="Regulars",
    version="1",
    description="Auth0's Management API for users, clients, APIs, grants and connections; segments and facts under /api/regulars/v1; "
    "questions inside an app, with the customer's own token, under /api/me.",
    docs_url=None,
    urls_namespace="api",
    parser=StrictParser(),
)
install_error_handlers(api)
for prefix, routers in ROUTERS.items():
    for router in routers:
        api.add_router(prefix, router)

urlpatterns: list[URLPattern | URLResolver] = [path("", api.urls)]
