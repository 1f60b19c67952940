"""A small OpenID Provider with invented people, so that "Continue with Google" works without internet.

Authorization code with PKCE (S256), discovery, keys, token, userinfo, and a consent page with a box per scope: what an
application asked for and what it got may differ, and the token answer's `scope` names what it got.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

from .people import PEOPLE, SCOPES, Person, Scope, claims_of, people_api

HERE = Path(__file__).parent
PAGES = Jinja2Templates(HERE / "templates")
CODE_LIFETIME, TOKEN_LIFETIME = 60, 3600  # seconds
CARRIED = (
    "client_id",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
)


@dataclass(frozen=True)
class Application:
    """An application that may request sign-ins. A redirect address is compared character by character."""

    client_id: str
    secret: str
    name: str
    redirect_uris: tuple[str, ...]


@dataclass(frozen=True)
class Grant:
    """What one person allowed one application, and how long its code or token is valid."""

    person: Person
    application: Application
    scopes: list[str]
    until: float
    redirect_uri: str = ""
    challenge: str = ""
    nonce: str = ""


class Refused(Exception):
    """An error code of OAuth; with `back` it goes to the application, without it to the person."""

    def __init__(self, error: str, sentence: str, back: str = "") -> None:
        super().__init__(sentence)
        self.error, self.sentence, self.back = error, sentence, back


@dataclass
class Provider:
    """One mock service: its address, its applications, its key, and what it issued (in memory only)."""

    issuer: str
    applications: dict[str, Application]
    key: RSAKey = field(
        default_factory=lambda: RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)
    )
    codes: dict[str, Grant] = field(default_factory=dict)
    tokens: dict[str, Grant] = field(default_factory=dict)
    title: str = "Google"
    scopes: Mapping[str, Scope] = field(default_factory=lambda: SCOPES)
    people: Mapping[str, Person] = field(default_factory=lambda: PEOPLE)

    @property
    def root(self) -> str:
        return urlsplit(self.issuer).path

    def page(self, request: Request, name: str, **context: object) -> Response:
        return PAGES.TemplateResponse(request, name, {"title": self.title, "root": self.root, **context})

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self.discovery),
                Route("/jwks", self.keys),
                Route("/authorize", self.choose_account),
                Route("/consent", self.ask_consent),
                Route("/consent", self.decide, methods=["POST"]),
                Route("/token", self.token, methods=["POST"]),
                Route("/userinfo", self.userinfo, methods=["GET", "POST"]),
                Route("/v1/people/me", self.people_me),
                Route("/revoke", self.revoke, methods=["POST"]),
                Mount("/static", StaticFiles(directory=HERE / "static"), name="static"),
            ],
            exception_handlers={Refused: answer_refusal},
        )

    async def discovery(self, request: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
                "jwks_uri": f"{self.issuer}/jwks",
                "response_types_supported": ["code"],
                "response_modes_supported": ["query"],
                "grant_types_supported": ["authorization_code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
                "code_challenge_methods_supported": ["S256"],
                "scopes_supported": list(SCOPES),
            }
        )

    async def keys(self, request: Request) -> Response:
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})

    async def choose_account(self, request: Request) -> Response:
        self.asked(request.query_params)
        carried = carry(request.query_params)
        there = f"{self.root}/consent?"
        choices = [(person, there + urlencode({**carried, "person": key})) for key, person in self.people.items()]
        return self.page(request, "choose.html", choices=choices)

    async def ask_consent(self, request: Request) -> Response:
        application, scopes = self.asked(request.query_params)
        key = request.query_params.get("person", "")
        if key not in self.people:
            return RedirectResponse(f"{self.root}/authorize?{urlencode(carry(request.query_params))}")
        return self.page(
            request,
            "consent.html",
            key=key,
            person=self.people[key],
            application=application,
            scopes=[(name, self.scopes[name]) for name in scopes],
            carried=carry(request.query_params),
        )

    async def decide(self, request: Request) -> Response:
        """Return to the application with a code for exactly the boxes left ticked, or with a refusal."""
        sent = await request.form()
        form, ticked = {key: str(value) for key, value in sent.items()}, sent.getlist("granted")
        application, scopes = self.asked(form)
        if form.get("decision") != "allow":
            raise Refused("access_denied", "The person refused.", back(form))
        code = secrets.token_urlsafe(24)
        self.codes[code] = Grant(
            person=self.people[form["person"]],
            application=application,
            scopes=[scope for scope in scopes if scope in ticked or not self.scopes[scope].optional],
            until=time.time() + CODE_LIFETIME,
            redirect_uri=form["redirect_uri"],
            challenge=form.get("code_challenge", ""),
            nonce=form.get("nonce", ""),
        )
        return self.answer(form, code)

    def answer(self, form: Mapping[str, str], code: str) -> Response:
        return RedirectResponse(f"{back(form)}code={code}", 303)

    async def token(self, request: Request) -> Response:
        form = {key: str(value) for key, value in (await request.form()).items()}
        application = self.authenticated(request, form)
        grant = self.codes.pop(form.get("code", ""), None)  # used up at the first try, as RFC 6749 requires
        if grant is None or grant.until < time.time() or grant.application != application:
            raise Refused("invalid_grant", "This code is unknown, used or too old.")
        if grant.redirect_uri != form.get("redirect_uri"):
            raise Refused("invalid_grant", "The redirect address is not the one the code was made for.")
        if grant.challenge and not matches_challenge(form.get("code_verifier", ""), grant.challenge):
            raise Refused("invalid_grant", "The code verifier does not match.")
        return JSONResponse(
            {**self.issue(grant), "id_token": self.id_token(grant)}, headers={"Cache-Control": "no-store"}
        )

    def issue(self, grant: Grant) -> dict[str, object]:
        """Issue a new token for what the person allowed, as the token endpoint returns it."""
        token = secrets.token_urlsafe(24)
        self.tokens[token] = Grant(grant.person, grant.application, grant.scopes, time.time() + TOKEN_LIFETIME)
        return {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": TOKEN_LIFETIME,
            "scope": " ".join(grant.scopes),
        }

    async def userinfo(self, request: Request) -> Response:
        grant = self.bearer(request)
        return JSONResponse(claims_of(grant.person, grant.scopes) if grant else UNAUTHORIZED, 200 if grant else 401)

    async def people_me(self, request: Request) -> Response:
        grant = self.bearer(request)
        return JSONResponse(people_api(grant.person, grant.scopes) if grant else UNAUTHORIZED, 200 if grant else 401)

    async def revoke(self, request: Request) -> Response:
        """Google expects the token alone, and revokes the whole grant."""
        token = str((await request.form()).get("token", ""))
        known = token in self.tokens
        self.give_back(token)
        return JSONResponse({} if known else {"error": "invalid_token"}, 200 if known else 400)

    def give_back(self, token: str) -> None:
        """Revoke the grant: none of its tokens works from now on."""
        grant = self.tokens.pop(token, None)
        if grant:
            mine = (grant.person, grant.application)
            self.tokens = {t: g for t, g in self.tokens.items() if (g.person, g.application) != mine}

    def asked(self, given: Mapping[str, str]) -> tuple[Application, list[str]]:
        """The application and the known scopes it asks for; raises what is wrong with the request."""
        application = self.applications.get(given.get("client_id", ""))
        if application is None:
            raise Refused("invalid_client", "No application is known under this client id.")
        if given.get("redirect_uri") not in application.redirect_uris:
            raise Refused("invalid_request", "This redirect address is not registered.")
        if given.get("response_type") != "code":
            raise Refused("unsupported_response_type", "Only code.", back(given))
        if given.get("code_challenge") and given.get("code_challenge_method") != "S256":
            raise Refused("invalid_request", "Only S256 challenges.", back(given))
        scopes = [scope for scope in given.get("scope", "").replace(",", " ").split() if scope in self.scopes]
        if "openid" in self.scopes and "openid" not in scopes:
            raise Refused("invalid_scope", "The scope must contain openid.", back(given))
        return application, scopes

    def authenticated(self, request: Request, form: dict[str, str]) -> Application:
        name, secret = form.get("client_id", ""), form.get("client_secret", "")
        header = request.headers.get("authorization", "")
        if header.lower().startswith("basic "):
            name, _, secret = base64.b64decode(header[6:]).decode().partition(":")
        application = self.applications.get(name)
        if application is None or not hmac.compare_digest(application.secret, secret):
            raise Refused("invalid_client", "Unknown client or wrong secret.")
        return application

    def bearer(self, request: Request) -> Grant | None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        grant = self.tokens.get(token)
        return grant if grant and grant.until > time.time() else None

    def id_token(self, grant: Grant) -> str:
        """Return signed claims: as Google's, with name and e-mail but nothing that needs an optional scope."""
        now = int(time.time())
        plain = [scope for scope in grant.scopes if not self.scopes[scope].optional]
        claims = {
            "iss": self.issuer,
            "aud": grant.application.client_id,
            "azp": grant.application.client_id,
            "iat": now,
            "exp": now + TOKEN_LIFETIME,
            **({"nonce": grant.nonce} if grant.nonce else {}),
            **claims_of(grant.person, plain),
        }
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)


UNAUTHORIZED = {"error": "invalid_token", "error_description": "This token is unknown or too old."}


def carry(parameters: Mapping[str, str]) -> dict[str, str]:
    """The request's own parameters, to hand from page to page; each page checks them anew."""
    return {name: parameters[name] for name in CARRIED if name in parameters}


def back(parameters: Mapping[str, str]) -> str:
    """The redirect address up to where the answer's own parameters begin."""
    address = parameters["redirect_uri"]
    state = {"state": parameters["state"]} if parameters.get("state") else {}
    return f"{address}{'&' if '?' in address else '?'}{urlencode(state)}{'&' if state else ''}"


def matches_challenge(verifier: str, challenge: str) -> bool:
    digest = hashlib.sha256(verifier.encode()).digest()
    return hmac.compare_digest(base64.urlsafe_b64encode(digest).rstrip(b"=").decode(), challenge)


async def answer_refusal(request: Request, refusal: Exception) -> Response:
    """Send errors where OAuth requires: to the application when its address is registered, else to a page here."""
    assert isinstance(refusal, Refused)
    if refusal.back:
        return RedirectResponse(
            f"{refusal.back}{urlencode({'error': refusal.error, 'error_description': refusal.sentence})}", 303
        )
    if request.url.path.endswith("token") or refusal.error in ("invalid_token", "invalid_client"):
        status = 400 if refusal.error in ("invalid_grant", "invalid_request") else 401
        return JSONResponse({"error": refusal.error, "error_description": refusal.sentence}, status)
    return PAGES.TemplateResponse(request, "refused.html", {"refusal": refusal}, status_code=400)
