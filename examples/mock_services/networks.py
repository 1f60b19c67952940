"""Mock services of the other social networks: each has the addresses, scopes and errors of its original.

    Facebook, X, LinkedIn, GitHub, Apple, Microsoft, Amazon, and a plain OAuth 2.0 provider ("Members")

The people are those of the mock Google, and Noor, who has a telephone and no e-mail.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from .people import PEOPLE, Person, Scope
from .social import HERE, PAGES, TOKEN_LIFETIME, Application, Grant, Provider, Refused, answer_refusal, back

NOOR = Person("110248495921238986406", "signed up by telephone, has no e-mail", {"name": "Noor Haddad"})
ALL_PEOPLE = {**PEOPLE, NOOR.sub: NOOR}
LIKES = {"110248495921238986401": ("Alpine Ski", "Snow Fest")}
# What Apple registers for an app: the team, the key's name, and the public half of the key.
TEAM, KEY_ID = "MOCK123456", "MOCKKEY123"


class Network(Provider):
    """The common part: OAuth 2.0 at addresses of their own, refresh tokens, and no ID token."""

    authorize_path, token_path = "/authorize", "/token"
    cancelled, joined = "access_denied", " "
    basic_only, needs_challenge, offline = False, False, ""

    def __init__(self, url: str, applications: dict[str, Application]) -> None:
        super().__init__(url, applications, title=type(self).__name__, scopes=self.SCOPES, people=ALL_PEOPLE)
        self.refreshing: dict[str, Grant] = {}

    SCOPES: Mapping[str, Scope] = {}

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route(self.authorize_path, self.choose_account),
                Route("/consent", self.ask_consent),
                Route("/consent", self.decide, methods=["POST"]),
                Route(self.token_path, self.token, methods=["POST"]),
                *self.routes(),
                Mount("/static", StaticFiles(directory=HERE / "static"), name="static"),
            ],
            exception_handlers={Refused: answer_refusal},
        )

    def routes(self) -> list[Route]:
        """Return the routes of its data about people."""
        return []

    async def choose_account(self, request: Request) -> Response:
        if self.needs_challenge and not request.query_params.get("code_challenge"):
            raise Refused("invalid_request", "PKCE is required.", back(request.query_params))
        return await super().choose_account(request)

    async def decide(self, request: Request) -> Response:
        try:
            return await super().decide(request)
        except Refused as refusal:
            if refusal.error != "access_denied":
                raise
            raise Refused(self.cancelled, refusal.sentence, refusal.back) from None

    async def token(self, request: Request) -> Response:
        form = {key: str(value) for key, value in (await request.form()).items()}
        if form.get("grant_type") == "refresh_token":
            return JSONResponse(self.renewed(self.authenticated(request, form), form))
        return await super().token(request)

    def renewed(self, application: Application, form: Mapping[str, str]) -> dict[str, object]:
        """Each refresh token is good once, as X has it."""
        grant = self.refreshing.pop(form.get("refresh_token", ""), None)
        if grant is None or grant.application != application:
            raise Refused("invalid_grant", "This refresh token is unknown or used.")
        return self.issue(grant)

    def issue(self, grant: Grant) -> dict[str, object]:
        answer = {**super().issue(grant), "scope": self.joined.join(grant.scopes)}
        if self.offline and self.offline in grant.scopes:
            answer["refresh_token"] = secrets.token_urlsafe(24)
            self.refreshing[str(answer["refresh_token"])] = grant
        return answer

    def authenticated(self, request: Request, form: dict[str, str]) -> Application:
        if self.basic_only and not request.headers.get("authorization", "").startswith("Basic "):
            raise Refused("invalid_client", "Send the secret in the header.")
        return super().authenticated(request, form)

    def id_token(self, grant: Grant) -> str:
        return ""

    def granted(self, request: Request) -> Grant:
        """Return the grant of the token that came with the request. Raises when there is none."""
        grant = self.bearer(request) or self.tokens.get(request.query_params.get("access_token", ""))
        if grant is None:
            raise Refused("invalid_token", "This token is unknown or was revoked.", "")
        return grant

    def give_back(self, token: str) -> None:
        grant = self.tokens.get(token)
        super().give_back(token)
        if grant:
            mine = (grant.person, grant.application)
            self.refreshing = {t: g for t, g in self.refreshing.items() if (g.person, g.application) != mine}


class Facebook(Network):
    authorize_path, token_path = "/v25.0/dialog/oauth", "/v25.0/oauth/access_token"
    SCOPES = {
        "public_profile": Scope("See your name and picture", ("name",), optional=False),
        "email": Scope("See your e-mail address", ("email",)),
        "user_birthday": Scope("See your birthday", ("birthdate",)),
        "user_gender": Scope("See your gender", ("gender",)),
        "user_location": Scope("See your current city", ("address",)),
        "user_likes": Scope("See the pages you like", ()),
    }

    def __init__(self, url: str, applications: dict[str, Application]) -> None:
        super().__init__(url, applications)
        self.declined: dict[str, list[str]] = {}

    def routes(self) -> list[Route]:
        return [
            Route("/v25.0/me", self.me),
            Route("/v25.0/me/permissions", self.permissions, methods=["GET", "DELETE"]),
            Route("/v25.0/me/permissions/{permission}", self.permissions, methods=["DELETE"]),
            Route("/v25.0/debug_token", self.debug),
        ]

    async def decide(self, request: Request) -> Response:
        form = await request.form()
        asked, ticked = str(form["scope"]).split(","), form.getlist("granted")
        self.declined[str(form["person"])] = [
            scope for scope in asked if scope in self.scopes and self.scopes[scope].optional and scope not in ticked
        ]
        return await super().decide(request)

    def issue(self, grant: Grant) -> dict[str, object]:
        answer = super().issue(grant)
        del answer["scope"]  # the Graph API tells it on request, the token does not
        return answer

    async def me(self, request: Request) -> Response:
        grant = self.proved(request)
        wanted = request.query_params.get("fields", "id,name").split(",")
        known = facebook_fields(grant.person, grant.scopes)
        return JSONResponse({key: known[key] for key in ["id", *wanted] if key in known})

    async def permissions(self, request: Request) -> Response:
        token = request.query_params.get("access_token", "")  # a DELETE has no body at the Graph API
        if request.method == "DELETE":
            return self.take_back(token, request.path_params.get("permission", ""))
        grant = self.proved(request)
        declined = self.declined.get(grant.person.sub, [])
        status = [(scope, "granted") for scope in grant.scopes] + [(scope, "declined") for scope in declined]
        return JSONResponse({"data": [{"permission": scope, "status": word} for scope, word in status]})

    def take_back(self, token: str, permission: str) -> Response:
        grant = self.tokens.get(token)
        if grant is None:
            return JSONResponse(graph_error("The session is not valid any more.", 190), 400)
        if not permission:
            self.give_back(token)
        for key, other in self.tokens.items():
            if (other.person, other.application) == (grant.person, grant.application):
                self.tokens[key] = replace(other, scopes=[scope for scope in other.scopes if scope != permission])
        return JSONResponse({"success": True})

    async def debug(self, request: Request) -> Response:
        grant = self.tokens.get(request.query_params.get("input_token", ""))
        if grant is None:
            return JSONResponse({"data": {"is_valid": False, "scopes": []}})
        known = {"app_id": grant.application.client_id, "type": "USER", "user_id": grant.person.sub}
        return JSONResponse({"data": {**known, "is_valid": True, "scopes": grant.scopes}})

    def proved(self, request: Request) -> Grant:
        """Facebook can want every call signed with the app's secret; this one always does."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        grant = self.granted(request)
        proof = hmac.new(grant.application.secret.encode(), token.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(proof, request.query_params.get("appsecret_proof", "")):
            raise Refused("invalid_request", "API calls from the server require an appsecret_proof argument.")
        return grant


class X(Network):
    authorize_path, token_path = "/i/oauth2/authorize", "/2/oauth2/token"
    basic_only, needs_challenge, offline = True, True, "offline.access"
    SCOPES = {
        "users.read": Scope("See accounts you can see", (), optional=False),
        "tweet.read": Scope("See posts you can see", (), optional=False),
        "users.email": Scope("See your e-mail address", ("email",), optional=False),
        "offline.access": Scope("Stay connected to your account", (), optional=False),
    }

    def routes(self) -> list[Route]:
        return [Route("/2/users/me", self.me), Route("/2/oauth2/revoke", self.revoke, methods=["POST"])]

    async def me(self, request: Request) -> Response:
        grant = self.granted(request)
        claims = grant.person.claims
        data = {"id": grant.person.sub[-10:], "name": claims.get("name", "unnamed"), "username": handle(grant.person)}
        optional = {
            "description": "skis",
            "location": "the moon",
            "protected": False,
            "public_metrics": {"followers_count": 120, "following_count": 80},
            "confirmed_email": claims.get("email") if "users.email" in grant.scopes else None,
        }
        wanted = request.query_params.get("user.fields", "").split(",")
        return JSONResponse({"data": {**data, **{k: v for k, v in optional.items() if k in wanted and v is not None}}})

    async def revoke(self, request: Request) -> Response:
        form = {key: str(value) for key, value in (await request.form()).items()}
        self.authenticated(request, form)
        self.give_back(form.get("token", ""))
        return JSONResponse({"revoked": True})


class LinkedIn(Provider):
    """OpenID Connect, but for a cancellation of its own, commas between scopes, no nonce and a locale in two parts."""

    def __init__(self, url: str, applications: dict[str, Application]) -> None:
        super().__init__(url, applications, title="LinkedIn", people=ALL_PEOPLE)

    async def decide(self, request: Request) -> Response:
        try:
            return await super().decide(request)
        except Refused as refusal:
            raise Refused("user_cancelled_authorize", refusal.sentence, refusal.back) from None

    def issue(self, grant: Grant) -> dict[str, object]:
        return {**super().issue(grant), "scope": ",".join(grant.scopes)}

    def id_token(self, grant: Grant) -> str:
        return super().id_token(replace(grant, nonce=""))

    async def userinfo(self, request: Request) -> Response:
        answer = await super().userinfo(request)
        claims = json.loads(bytes(answer.body))
        language, _, country = claims.get("locale", "en-US").partition("-")
        return JSONResponse(
            {**claims, "locale": {"language": language, "country": country or language.upper()}}, answer.status_code
        )


class GitHub(Network):
    authorize_path, token_path = "/login/oauth/authorize", "/login/oauth/access_token"
    joined = ","
    SCOPES = {
        "read:user": Scope("Read your profile", ("name",), optional=False),
        "user:email": Scope("Read your e-mail addresses", ("email",), optional=False),
    }

    def routes(self) -> list[Route]:
        return [
            Route("/user", self.user),
            Route("/user/emails", self.emails),
            Route("/applications/{client_id}/grant", self.revoke, methods=["DELETE"]),
        ]

    async def token(self, request: Request) -> Response:
        """GitHub returns errors with status 200."""
        try:
            return await super().token(request)
        except Refused as refusal:
            return JSONResponse({"error": refusal.error, "error_description": refusal.sentence})

    async def user(self, request: Request) -> Response:
        person = self.granted(request).person
        return JSONResponse(
            {
                "login": handle(person),
                "id": int(person.sub[-6:]),
                "avatar_url": "https://avatars.example/u/1",
                "name": person.claims.get("name"),
                "company": "@norte",
                "email": None,
                "location": person.claims.get("address", {}).get("locality"),
            }
        )

    async def emails(self, request: Request) -> Response:
        claims = self.granted(request).person.claims
        first = {"email": claims.get("email"), "primary": True, "verified": bool(claims.get("email_verified"))}
        other = {"email": "old@example.com", "primary": False, "verified": True, "visibility": None}
        return JSONResponse([other, {**first, "visibility": "private"}] if claims.get("email") else [])

    async def revoke(self, request: Request) -> Response:
        self.authenticated(request, {})
        self.give_back(str((await request.json())["access_token"]))
        return Response(status_code=204)


class Apple(Network):
    """No userinfo; the answer comes by a form, with the name on the first sign-in only; the secret is a signed token."""

    authorize_path, token_path, offline = "/auth/authorize", "/auth/token", "openid"
    cancelled = "user_cancelled_authorize"
    SCOPES = {
        "openid": Scope("Know who you are", (), optional=False),
        "name": Scope("See your name", ("name",), optional=False),
        "email": Scope("See your e-mail address, or one made for this app", ("email",), optional=False),
    }

    def __init__(self, url: str, applications: dict[str, Application], public_key: ECKey | None = None) -> None:
        super().__init__(url, applications)
        self.public_key = public_key
        self.met: set[str] = set()

    def routes(self) -> list[Route]:
        return [
            Route("/.well-known/openid-configuration", self.discovery),
            Route("/auth/keys", self.keys),
            Route("/auth/revoke", self.revoke, methods=["POST"]),
            Route("/forget", self.forget, methods=["POST"]),
        ]

    async def forget(self, request: Request) -> Response:
        """Every person presses "Stop using Apple ID" in their settings: the next sign-in is a first one."""
        self.met.clear()
        return Response(status_code=204)

    async def discovery(self, request: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/auth/authorize",
                "token_endpoint": f"{self.issuer}/auth/token",
                "revocation_endpoint": f"{self.issuer}/auth/revoke",
                "jwks_uri": f"{self.issuer}/auth/keys",
                "response_modes_supported": ["query", "fragment", "form_post"],
                "token_endpoint_auth_methods_supported": ["client_secret_post"],
            }
        )

    async def choose_account(self, request: Request) -> Response:
        if request.query_params.get("response_mode") != "form_post":
            raise Refused("invalid_request", "response_mode must be form_post when name or email scope is requested.")
        return await super().choose_account(request)

    def answer(self, form: Mapping[str, str], code: str) -> Response:
        person = self.people[form["person"]]
        fields = {"state": form.get("state", ""), "code": code}
        if person.sub not in self.met and person.claims.get("given_name"):
            name = {"firstName": person.claims["given_name"], "lastName": person.claims["family_name"]}
            fields["user"] = json.dumps({"name": name, "email": relay(person)})
        self.met.add(person.sub)
        application = self.applications[form["client_id"]]
        page = {"title": self.title, "root": self.root, "application": application, "fields": fields}
        return HTMLResponse(PAGES.get_template("form_post.html").render(address=form["redirect_uri"], **page))

    def authenticated(self, request: Request, form: dict[str, str]) -> Application:
        application = self.applications.get(form.get("client_id", ""))
        if application is None or not self.signed_by(form.get("client_secret", ""), application):
            raise Refused("invalid_client", "The client secret is not signed with your key.")
        return application

    def signed_by(self, secret: str, application: Application) -> bool:
        """The key that the app registered; without one, any well-formed token is accepted."""
        try:
            header, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in secret.split(".")[:2])
            if self.public_key is not None:
                claims = jwt.decode(secret, self.public_key, algorithms=["ES256"]).claims
        except (JoseError, ValueError):
            return False
        known = (header.get("alg"), header.get("kid"), claims.get("iss"), claims.get("sub"), claims.get("aud"))
        return known == ("ES256", KEY_ID, TEAM, application.client_id, "https://appleid.apple.com") and (
            time.time() < claims.get("exp", 0) < time.time() + 180 * 86400
        )

    def id_token(self, grant: Grant) -> str:
        now = int(time.time())
        email = {"email": relay(grant.person), "email_verified": "true", "is_private_email": "true"}
        claims = {
            "iss": self.issuer,
            "aud": grant.application.client_id,
            "sub": f"001234.{grant.person.sub[-6:]}.0915",
            "iat": now,
            "exp": now + TOKEN_LIFETIME,
            "nonce_supported": True,
            **({"nonce": grant.nonce} if grant.nonce else {}),
            **(email if grant.person.claims.get("email") else {}),
        }
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)

    async def revoke(self, request: Request) -> Response:
        form = {key: str(value) for key, value in (await request.form()).items()}
        self.authenticated(request, form)
        self.give_back(form.get("token", ""))
        return Response(status_code=200)


class Microsoft(Network):
    authorize_path, token_path = "/common/oauth2/v2.0/authorize", "/common/oauth2/v2.0/token"
    offline = "offline_access"
    SCOPES = {
        "User.Read": Scope("Read your profile", ("name",), optional=False),
        "offline_access": Scope("Keep access to what you gave it access to", (), optional=False),
    }

    def routes(self) -> list[Route]:
        return [Route("/v1.0/me", self.me)]

    def issue(self, grant: Grant) -> dict[str, object]:
        """Graph's own scopes come back with its whole address."""
        answer = super().issue(grant)
        scopes = [f"https://graph.microsoft.com/{scope}" if "." in scope else scope for scope in grant.scopes]
        return {**answer, "scope": " ".join(scopes)}

    async def me(self, request: Request) -> Response:
        person = self.granted(request).person
        claims = person.claims
        return JSONResponse(
            {
                "@odata.context": f"{self.issuer}/v1.0/$metadata#users/$entity",
                "id": f"87d349ed-{person.sub[-4:]}",
                "displayName": claims.get("name"),
                "givenName": claims.get("given_name"),
                "surname": claims.get("family_name"),
                "mail": claims.get("email"),
                "userPrincipalName": claims.get("email"),
                "jobTitle": "Buyer",
                "mobilePhone": claims.get("phone_number"),
                "preferredLanguage": claims.get("locale"),
                "businessPhones": [],
            }
        )


class Amazon(Network):
    authorize_path, token_path = "/ap/oa", "/auth/o2/token"
    SCOPES = {
        "profile": Scope("See your name and e-mail address", ("name", "email"), optional=False),
        "postal_code": Scope("See your postal code", ("address",)),
    }

    def routes(self) -> list[Route]:
        return [Route("/user/profile", self.profile)]

    async def profile(self, request: Request) -> Response:
        grant = self.granted(request)
        claims = grant.person.claims
        code = claims.get("address", {}).get("postal_code") if "postal_code" in grant.scopes else None
        known = {"email": claims.get("email"), "name": claims.get("name"), "postal_code": code}
        return JSONResponse(
            {"user_id": f"amzn1.account.{grant.person.sub[-6:]}", **{k: v for k, v in known.items() if v}}
        )


class Members(Network):
    """An OAuth 2.0 provider of a company, with an answer in a shape of its own."""

    SCOPES = {"basic": Scope("See your membership", ("name",), optional=False)}

    def routes(self) -> list[Route]:
        return [Route("/member", self.member)]

    async def member(self, request: Request) -> Response:
        person = self.granted(request).person
        contact = {"mail": person.claims.get("email"), "proved": bool(person.claims.get("email_verified"))}
        return JSONResponse({"member": {"no": int(person.sub[-6:]), "called": person.claims.get("name"), **contact}})


def facebook_fields(person: Person, scopes: list[str]) -> dict[str, Any]:
    claims = person.claims
    known: dict[str, Any] = {
        "id": f"1022{person.sub[-8:]}",
        "name": claims.get("name"),
        "first_name": claims.get("given_name"),
        "last_name": claims.get("family_name"),
        "picture": {"data": {"height": 50, "width": 50, "is_silhouette": False, "url": "https://pictures.example/x"}},
    }
    if "email" in scopes:
        known["email"] = claims.get("email")
    if "user_birthday" in scopes and "birthdate" in claims:
        year, month, day = claims["birthdate"].split("-")
        known["birthday"] = f"{month}/{day}/{year}"
    if "user_gender" in scopes:
        known["gender"] = claims.get("gender")
    if "user_location" in scopes and "address" in claims:
        known["location"] = {"id": "106", "name": f"{claims['address']['locality']}, {claims['address']['country']}"}
    if "user_likes" in scopes:
        known["likes"] = {"data": [{"name": name, "id": str(i)} for i, name in enumerate(LIKES.get(person.sub, ()))]}
    return {key: value for key, value in known.items() if value is not None}


def handle(person: Person) -> str:
    return str(person.claims.get("name", "yuki")).split()[0].lower()


def relay(person: Person) -> str:
    return f"x{person.sub[-3:]}@privaterelay.appleid.com"


def graph_error(message: str, code: int) -> dict[str, Any]:
    return {"error": {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "A1"}}


NETWORKS = {
    "facebook": Facebook,
    "x": X,
    "linkedin": LinkedIn,
    "github": GitHub,
    "apple": Apple,
    "microsoft": Microsoft,
    "amazon": Amazon,
    "members": Members,
}
