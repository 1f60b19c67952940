"""Mock services for the vendors that enrichment asks. People here are invented; an address is known by its SHA-256 too.

`ana+202@example.com`, `+404`, `+422`, `+429` and `+503` get that answer; after two minutes a 202 becomes a profile.
"""

from __future__ import annotations

import time
from hashlib import sha256
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from .recording import WRONG, partner, problem

QUEUED_FOR = 120.0  # seconds
ANA: dict[str, Any] = {
    "fullName": "Ana Ruiz",
    "ageRange": "25-34",
    "gender": "Female",
    "location": "Porto, Portugal",
    "title": "Buyer",
    "organization": "Norte Wool",
    "twitter": None,
    "linkedin": "https://www.linkedin.com/in/ana-example",
    "updated": "2026-10-02",
    "details": {
        "name": {"given": "Ana", "family": "Ruiz", "full": "Ana Ruiz"},
        "age": {"range": "25-34", "value": 29},
        "locations": [{"city": "Porto", "country": "Portugal", "countryCode": "PT", "formatted": "Porto, Portugal"}],
        "interests": [{"name": "Skiing", "affinity": "HIGH"}],
    },
}
SPECIAL = {f"ana+{status}@example.com": status for status in (202, 404, 422, 429, 500, 503)}


def _hashed(email: str) -> str:
    return sha256(email.encode()).hexdigest()


STATUS_OF = {_hashed(email): status for email, status in SPECIAL.items()}


def fullcontact() -> Starlette:
    queued: dict[str, float] = {}

    def enrich(request: Request, body: Any) -> Response:
        key = request.headers.get("authorization", "")
        if not key.startswith("Bearer "):
            return problem(401, status=401, message="No API key")
        if WRONG in key:
            return problem(403, status=403, message="Invalid key or quota exhausted")
        if not isinstance(body, dict) or ("location" in body and "name" not in body):
            return problem(422, status=422, message="Location must come with a name")
        email = str(body.get("email", ""))
        return _answer(email if "@" not in email else _hashed(email.strip().lower()), queued)

    return partner("fullcontact", ("POST", "/person.enrich", enrich))


def _answer(digest: str, queued: dict[str, float]) -> Response:
    match STATUS_OF.get(digest, 200 if digest == _hashed("ana@example.com") else 404):
        case 202 if time.monotonic() - queued.setdefault(digest, time.monotonic()) < QUEUED_FOR:
            return problem(202, status=202, message="Queued for search", requestId="request-1")
        case 404:
            return problem(404, status=404, message="Profile not found")
        case 422:
            return problem(422, status=422, message="Input not usable")
        case 429:
            return JSONResponse({"status": 429, "message": "Slow down"}, 429, {"X-FullContact-RateDelay": "1000"})
        case 500 | 503 as trouble:
            return JSONResponse({"status": trouble, "message": "Trouble"}, trouble, {"retry-after": "30"})
    return JSONResponse(ANA)


def gravatar() -> Starlette:
    def profile(request: Request, body: Any) -> Response:
        digest = request.path_params["hash"]
        if WRONG in request.headers.get("authorization", ""):
            return problem(401, error="Invalid key", code="unauthorized")
        if STATUS_OF.get(digest) == 429:
            return JSONResponse({"error": "Too many requests"}, 429, {"X-RateLimit-Reset": "1800"})
        if digest != _hashed("ana@example.com"):
            return problem(404, error="Profile not found", code="profile_not_found")
        profile = {"hash": digest, "display_name": "Ana R.", "avatar_url": f"https://0.gravatar.com/avatar/{digest}"}
        return JSONResponse({**profile, "location": "Porto", "job_title": "Buyer", "company": "", "pronouns": ""})

    return partner("gravatar", ("GET", "/profiles/{hash}", profile))


KNOWERS = {"fullcontact": fullcontact, "gravatar": gravatar}
