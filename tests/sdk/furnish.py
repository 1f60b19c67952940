"""Run with the home of a server: create the apps, connections and customers that the SDK tests need."""

from __future__ import annotations

from django.contrib.auth.hashers import make_password

from regulars.clients.models import Client, ClientGrant, ResourceServer
from regulars.clients.register import ClientSpec, register
from regulars.connections.models import Connection
from regulars.questions.question_type import AnswerOption
from regulars.questions.save import QuestionDraft, save_question
from regulars.usecases.complete_social_login import sign_up

PASSWORDS = "Username-Password-Authentication"
API = "https://orders.example/"
PASSWORD = "a few words in a row"
IN_THE_BROWSER = ("spa", "lock", "component", "auth0-js", "questions", "elsewhere")
RELATED = "https://shop.example"  # the second origin of the component's app, besides localhost
IMPLICIT = ("lock", "auth0-js", "elsewhere", "express-id-token")
CUSTOMERS = ("chika", "dov", "rosa", "tove")
ASKED = ("amara", "bao", "carla", "dede", "emre", "farah")  # each has a pending question in the app with the component
IN_ARABIC = {"text": "عمّ تبحث؟", "why": "لنعرضه أولاً.", "options": {"jackets": "سترات", "shoes": "أحذية"}}


def main(apps: dict[str, str], upstream: str) -> dict[str, dict[str, str]]:
    """Return client ids and secrets by the names of `apps` (origins by name), and of `machine`."""
    Connection.objects.filter(strategy__in=("auth0", "email")).update(enabled=True)
    Connection.objects.create(
        name="upstream",
        strategy="oidc",
        display_name="Upstream",
        client_id="regulars",
        secret="upstream-secret",
        scopes=["openid", "email", "profile"],
        urls={"issuer": upstream},
    )
    hashed = make_password(PASSWORD)
    for name in (*CUSTOMERS, *ASKED):
        sign_up(f"{name}@example.com", hashed, PASSWORDS)
    ask_some()
    made = {name: app(name, origin) for name, origin in apps.items()}
    made["machine"] = machine()
    return made


def app(name: str, origin: str) -> dict[str, str]:
    in_the_browser = name in IN_THE_BROWSER
    origins = [origin, RELATED + origin.removeprefix("https://localhost")] if name == "component" else [origin]
    callbacks = [f"{each}/{name}{end}" for each in origins for end in (".html", "-popup.html")]
    client, secret = register(
        ClientSpec(
            name=name,
            embeds_login=name in ("lock", "component", "auth0-js"),
            grant_types=["authorization_code", "refresh_token", *(["implicit"] if name in IMPLICIT else [])],
            auth_method=Client.AuthMethod.NONE if in_the_browser else Client.AuthMethod.POST,
            redirect_uris=callbacks if in_the_browser else [f"{origin}/callback"],
            logout_uris=[origin, f"{origin}/{name}.html"],
            web_origins=["https://elsewhere.example"] if name == "elsewhere" else origins,
        )
    )
    return {"client_id": client.pk, "client_secret": secret}


def ask_some() -> None:
    """Create a question for one audience only, so that other logins are not interrupted."""
    options = (AnswerOption("jackets", "Jackets"), AnswerOption("shoes", "Shoes"))
    words = ("What are you looking for?", "So that we show you that first.")
    audience = " OR ".join(f'email:"{name}@example.com"' for name in ASKED)
    save_question(
        QuestionDraft("looking_for", *words, "single_choice", "looking_for", "serve", options, enabled=True,
              audience=audience, translations={"ar": IN_ARABIC})
    )  # fmt: skip


def machine() -> dict[str, str]:
    api = ResourceServer.objects.create(identifier=API, name="Orders", scopes=["read:orders", "write:orders"])
    client, secret = register(ClientSpec("Machine", grant_types=["client_credentials"]))
    ClientGrant.objects.create(client=client, resource_server=api, scopes=["read:orders"])
    return {"client_id": client.pk, "client_secret": secret, "audience": API}
