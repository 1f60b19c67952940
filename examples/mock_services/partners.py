"""Mock services for the systems that destinations talk to. They answer as the real ones do, refusals included.

A key or token that holds `wrong` is refused; an e-mail address whose local part ends in `+busy`, `+reject`, `+forgotten` or
`+taken` gets that answer where the partner has one.
"""

from __future__ import annotations

import base64
import re
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from .recording import WRONG, partner, problem, text

HEX64 = re.compile(r"[0-9a-f]{64}")


def _refused(request: Request, scheme: str = "") -> bool:
    sent = request.headers.get("authorization", "")
    if scheme == "Basic ":
        sent = "Basic " + base64.b64decode(sent.removeprefix("Basic ")).decode(errors="replace")
    return not sent.startswith(scheme) or WRONG in sent or sent == scheme


def lytics() -> Starlette:
    def collect(request: Request, body: Any) -> Response:
        if _refused(request):
            return problem(401, status=401, message="unauthorized", request_id="r1")
        rejected = 1 if "+reject" in str(body.get("email", "")) else 0
        data = {"message_count": 1 - rejected, "rejected_count": rejected, "content-type": "application/json"}
        return JSONResponse({"status": 200, "message": "success", "data": data})

    def delete(request: Request, body: Any) -> Response:
        return JSONResponse({"status": 200, "message": "success"})

    return partner(
        "lytics",
        ("POST", "/collect/json/{stream}", collect),
        ("DELETE", "/api/entity/{table}/{field}/{value:path}", delete),
    )


def segment() -> Starlette:
    """Segment answers 200 to every request it can parse, even under an unknown key."""

    def identify(request: Request, body: Any) -> Response:
        return JSONResponse({"success": True}) if isinstance(body, dict) else text(400, "malformed JSON")

    def batch(request: Request, body: Any) -> Response:
        whole = isinstance(body, dict) and isinstance(body.get("batch"), list) and len(body["batch"]) <= 2500
        return JSONResponse({"success": True}) if whole else text(400, "malformed JSON")

    return partner("segment", ("POST", "/v1/identify", identify), ("POST", "/v1/batch", batch))


def mailchimp() -> Starlette:
    def put(request: Request, body: Any) -> Response:
        if _refused(request, "Basic "):
            return problem(401, type="about:blank", title="API Key Invalid", status=401, detail="", instance="")
        if "+busy" in body["email_address"]:
            return text(403, "<html>Access Denied</html>")
        if "+forgotten" in body["email_address"]:
            return problem(400, title="Forgotten Email Not Subscribed", status=400, detail="", instance="")
        if not {"status", "status_if_new"} & body.keys():
            return problem(400, title="Invalid Resource", status=400, detail="status_if_new", instance="")
        return JSONResponse({"id": request.path_params["hash"], **body})

    def patch(request: Request, body: Any) -> Response:
        return JSONResponse({"id": request.path_params["hash"], **body})

    def nothing(request: Request, body: Any) -> Response:
        return Response(status_code=204)

    member = "/lists/{list_id}/members/{hash}"
    return partner(
        "mailchimp",
        ("PUT", member, put),
        ("PATCH", member, patch),
        ("POST", f"{member}/tags", nothing),
        ("POST", f"{member}/actions/delete-permanent", nothing),
    )


def klaviyo() -> Starlette:
    def guarded(status: int, sent: Any = None) -> Any:
        def answer(request: Request, body: Any) -> Response:
            if _refused(request, "Klaviyo-API-Key "):
                return problem(401, errors=[{"id": "1", "status": 401, "code": "not_authenticated"}])
            if "revision" not in request.headers:
                return problem(400, errors=[{"id": "1", "status": 400, "code": "missing_revision"}])
            if "+busy" in str(body):
                return JSONResponse({"errors": [{"code": "throttled"}]}, 429, headers={"retry-after": "7"})
            return JSONResponse(sent, status) if sent is not None else Response(status_code=status)

        return answer

    def renamed(request: Request, body: Any) -> Response:
        if "+taken" in str(body):
            return problem(409, errors=[{"code": "duplicate_profile", "meta": {"duplicate_profile_id": "01L"}}])
        return JSONResponse({"data": {"type": "profile", "id": request.path_params["profile_id"]}})

    on_list = "/api/lists/{list_id}/relationships/profiles"
    return partner(
        "klaviyo",
        ("POST", "/api/profile-import", guarded(200, {"data": {"type": "profile", "id": "01K"}})),
        ("PATCH", "/api/profiles/{profile_id}", renamed),
        ("POST", on_list, guarded(204)),
        ("DELETE", on_list, guarded(204)),
        ("POST", "/api/profile-suppression-bulk-create-jobs", guarded(202)),
        ("POST", "/api/data-privacy-deletion-jobs", guarded(202)),
    )


def hubspot() -> Starlette:
    def upsert(request: Request, body: Any) -> Response:
        if _refused(request, "Bearer "):
            return problem(401, status="error", category="INVALID_AUTHENTICATION")
        contacts = body["inputs"]
        if len(contacts) > 100:
            return problem(400, status="error", category="VALIDATION_ERROR")
        if any("+busy" in each["id"] for each in contacts):
            return problem(429, status="error", errorType="RATE_LIMIT", policyName="SECONDLY")
        if any("+reject" in each["id"] for each in contacts):
            errors = [{"status": "error", "category": "VALIDATION_ERROR"}]
            return problem(207, status="COMPLETE", results=[], numErrors=1, errors=errors)
        results = [
            {"id": str(512 + number), "new": True, "properties": each["properties"], "archived": False}
            for number, each in enumerate(contacts)
        ]
        return JSONResponse({"status": "COMPLETE", "results": results[::-1]})  # no order is promised

    def patch(request: Request, body: Any) -> Response:
        return JSONResponse({"id": "512", "properties": body["properties"], "archived": False})

    def membership(request: Request, body: Any) -> Response:
        return JSONResponse({"recordsIdsAdded": body})

    def delete(request: Request, body: Any) -> Response:
        return Response(status_code=204)

    return partner(
        "hubspot",
        ("POST", "/crm/v3/objects/contacts/batch/upsert", upsert),
        ("PATCH", "/crm/v3/objects/contacts/{contact}", patch),
        ("PUT", "/crm/v3/lists/{list_id}/memberships/{verb}", membership),
        ("POST", "/crm/v3/objects/contacts/gdpr-delete", delete),
    )


def meta() -> Starlette:
    def users(request: Request, body: Any) -> Response:
        if _refused(request, "Bearer "):
            return problem(400, error={"message": "Invalid OAuth access token", "code": 190})
        if request.path_params["audience"] == "613":  # an audience that is called too often
            return problem(400, error={"message": "Calls to this api have exceeded the rate limit", "code": 613})
        rows = body["payload"]["data"]
        invalid = sum(not all(HEX64.fullmatch(cell) or cell == "" for cell in row) for row in rows)
        return JSONResponse({"audience_id": "1", "num_received": len(rows), "num_invalid_entries": invalid})

    path = "/{version}/{audience}/users"
    return partner("meta", ("POST", path, users), ("DELETE", path, users))


def google() -> Starlette:
    def token(request: Request, body: Any) -> Response:
        return JSONResponse({"access_token": "mock-token", "expires_in": 3600, "token_type": "Bearer"})

    def members(request: Request, body: Any) -> Response:
        if request.headers.get("authorization") != "Bearer mock-token":
            return problem(401, error={"code": 401, "status": "UNAUTHENTICATED"})
        return JSONResponse({"requestId": "request-1"})

    return partner(
        "google",
        ("POST", "/token", token),
        ("POST", "/v1/audienceMembers:ingest", members),
        ("POST", "/v1/audienceMembers:remove", members),
    )


def slack() -> Starlette:
    def post(request: Request, body: Any) -> Response:
        if request.path_params["key"] == "busy":
            return text(429, "rate_limited", retry_after="30")
        if WRONG in request.path_params["key"]:
            return text(404, "no_service")
        return text(200, "ok") if body and body.get("text") else text(400, "no_text")

    return partner("slack", ("POST", "/services/{key}", post))


PARTNERS = {
    "lytics": lytics,
    "segment": segment,
    "mailchimp": mailchimp,
    "klaviyo": klaviyo,
    "hubspot": hubspot,
    "meta": meta,
    "google-data-manager": google,
    "slack": slack,
}
