"""JSON requests from scripts of an app's own page; the app must have opted in and list the origin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django.views.decorators.csrf import csrf_exempt

from regulars.accounts.proofs.tickets import may_embed
from regulars.accounts.rate_limits import Attempt
from regulars.base.json_reader import UnreadableJson, read_json
from regulars.clients.branding import current_app
from regulars.clients.models import Client
from regulars.interfaces.pages.attempts import attempt_of

LARGEST_BODY, LONGEST = 16 * 1024, 2000
HEADERS = "Content-Type, Auth0-Client, X-Request-Language"


class EmbeddedLoginError(Exception):
    """A refused request, in the error format that Auth0's SDKs read. `more` are further keys of the body."""

    def __init__(self, code: str, description: str, status: int = 400, **more: Any) -> None:
        super().__init__(description)
        self.status = status
        self.body = {"code": code, "error": code, "description": description, "error_description": description, **more}


@dataclass(frozen=True)
class EmbeddedRequest:
    """One call. `origin` is empty when no browser made it."""

    request: HttpRequest
    client: Client
    origin: str
    body: dict[str, Any]

    def attempt(self, action: str, subject: str) -> Attempt:
        return attempt_of(self.request, action, subject)

    def text(self, name: str) -> str:
        value = self.body.get(name, "")
        if not isinstance(value, str) or len(value) > LONGEST or "\0" in value:
            raise EmbeddedLoginError("invalid_request", f"{name} must be a text of reasonable length.")
        return value


View = Callable[[HttpRequest], HttpResponse]


def embedded_endpoint(*, browsers_only: bool = False) -> Callable[[Callable[[EmbeddedRequest], HttpResponse]], View]:
    """Make a view of POST and its preflight. `browsers_only`: callers that may keep a cookie."""

    def decorate(view: Callable[[EmbeddedRequest], HttpResponse]) -> View:
        @csrf_exempt  # what counts is in the body; the one cookie proves nothing by itself
        @wraps(view)
        def answer(request: HttpRequest) -> HttpResponse:
            origin = request.headers.get("Origin", "")
            try:
                response = _preflight() if request.method == "OPTIONS" else view(_read(request, origin, browsers_only))
            except EmbeddedLoginError as error:
                response = JsonResponse(error.body, status=error.status)
            add_never_cache_headers(response)
            return _open_to(response, origin)

        answer.failed = _failed  # type: ignore[attr-defined]  # read by `serving.error_pages`
        return answer

    return decorate


def _failed(request: HttpRequest, status: int, sentence: str) -> HttpResponse:
    code = "temporarily_unavailable" if status == HTTPStatus.SERVICE_UNAVAILABLE else "server_error"
    response = JsonResponse(EmbeddedLoginError(code, sentence).body, status=status)
    add_never_cache_headers(response)
    return _open_to(response, request.headers.get("Origin", ""))


def find_embedding(client_id: str) -> Client | None:
    """Return the app if it may show a login form of its own."""
    named = bool(client_id) and len(client_id) <= 64 and "\0" not in client_id
    client = Client.objects.filter(pk=client_id).first() if named else None
    return client if client and may_embed(client) else None


def _read(request: HttpRequest, origin: str, browsers_only: bool) -> EmbeddedRequest:
    if request.method != "POST":
        raise EmbeddedLoginError("method_not_allowed", "POST it.", 405)
    body = _json(request)
    client_id = body.get("client_id")
    client = find_embedding(client_id) if isinstance(client_id, str) else None
    if client is None:
        raise EmbeddedLoginError(
            "unauthorized_client", "This app is not allowed to show a sign-in form of its own.", 403
        )
    if (origin or browsers_only) and origin not in client.web_origins:
        raise EmbeddedLoginError("unauthorized_client", "This app may not be used from this origin.", 403)
    current_app.set(client.pk)  # until the middleware ends this request
    return EmbeddedRequest(request, client, origin, body)


def _json(request: HttpRequest) -> dict[str, Any]:
    """Parse the body. Only JSON is read: a form of another site cannot send it without a preflight."""
    if request.content_type != "application/json":
        raise EmbeddedLoginError("invalid_request", "Send JSON.", 415)
    try:
        body = request.body
        found = read_json(body) if len(body) <= LARGEST_BODY else None
    except (UnreadableJson, RequestDataTooBig):
        found = None
    if not isinstance(found, dict):
        raise EmbeddedLoginError("invalid_request", "The body is not a JSON object of reasonable size.")
    return found


def _preflight() -> HttpResponse:
    headers = {
        "Access-Control-Allow-Methods": "POST, OPTIONS",
        "Access-Control-Allow-Headers": HEADERS,
        "Access-Control-Max-Age": "600",
    }
    return HttpResponse(status=204, headers=headers)


def _open_to(response: HttpResponse, origin: str) -> HttpResponse:
    """Make the response readable for the origins of apps that opted in, and for no other origin."""
    patch_vary_headers(response, ["Origin"])
    if origin and any(may_embed(each) and origin in each.web_origins for each in Client.objects.all()):
        response.headers["Access-Control-Allow-Origin"] = origin
        # Cookies tell a browser that the customer signed in with before: it has limits of its own.
        response.headers["Access-Control-Allow-Credentials"] = "true"
    return response
