"""Every form that can give consent: opened, everything reworded, and sent as it was. Nothing may be taken.

The table is checked against the callers of the ledger, so that a new form cannot be forgotten.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tests.api.test_questions import token_of
from tests.notices import hidden_fields
from tests.oidc.app import App, make_client

import regulars
from regulars.accounts.models import Account
from regulars.clients.models import Client
from regulars.consent.models import ConsentEvent, Purpose
from regulars.consent.purposes import PurposeText
from regulars.oauth.grant import DEVICE_CODE
from regulars.oauth.models import AppGrant, DeviceRequest
from regulars.profiles.models import Fact
from regulars.questions.next_question import next_question
from regulars.questions.question_type import AnswerOption
from regulars.questions.save import QuestionDraft, save_question
from regulars.usecases.decide_consent import change_purpose

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("standard_setup", "lake")]
SRC = Path(regulars.__file__).parent
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
CHANGED = "This changed since you opened the page. Please read it again."
QUESTION = QuestionDraft(
    "looking_for", "What do you look for?", "To show it first.", "single_choice", "looking_for", "personalise",
    (AnswerOption("jackets", "Jackets"), AnswerOption("shoes", "Shoes")), enabled=True,
)  # fmt: skip
# Callers that write a yes which no customer clicks on a page, each with the reason.
NOT_FORMS = {
    "usecases/import_consents.py": "a file of another system, with its own evidence",
    "usecases/refuse_consent.py": "a no, which counts on any page",
    "usecases/same_person.py": "a no, carried on to another profile of the person",
    "consent/arrived_contacts.py": "a no of the holder of a contact",
    "consent/refresh.py": "the end of what a child allowed",
}


def reword_purpose() -> None:
    change_purpose("personalise", PurposeText("A shop that fits you", "To fit, and to sell it."), widened=False)


def widen_purpose() -> None:
    change_purpose("personalise", PurposeText("A shop that fits you", "To fit, and to sell it."), widened=True)


def repoint_question() -> None:
    save_question(replace(QUESTION, attribute="other_thing", purpose="message"))


def rename_app() -> None:
    Client.objects.filter(pk="partner").update(name="Bikes & Data Brokers")


@dataclass(frozen=True)
class Form:
    """A form by its caller of the ledger. `open` shows the page and returns what sends it."""

    name: str
    caller: str
    open: Any
    rewordings: tuple[Any, ...]


def me(client: Any, chika: Any) -> Any:
    page = client.get("/me").content.decode().partition('action="/me/purposes/personalise">')[2]
    form = dict(list(hidden_fields(page.partition("</form>")[0]).items()))
    return lambda: client.post("/me/purposes/personalise", {**form, "action": "give"})


def question(client: Any, chika: Any) -> Any:
    save_question(QUESTION)
    address = f"/question?impression={next_question(chika).pk}&next=/me"
    form = hidden_fields(client.get(address).content.decode())
    return lambda: client.post(address, {**form, "do": "answer", "answer": "shoes"})


def question_in_app(client: Any, chika: Any) -> Any:
    save_question(QUESTION)
    Client.objects.create(client_id="shop", name="Shop")
    headers = {"Authorization": f"Bearer {token_of(chika)}"}

    def post(path: str, body: Any) -> Any:
        return client.post(f"/api/me/question{path}", body, content_type="application/json", headers=headers)

    shown = post("", {}).json()["question"]
    return lambda: post(f"/{shown['id']}/answer", {"answer": ["shoes"], "notice": shown["use"]["notice"]})


def social(client: Any, chika: Any) -> Any:
    address = "/login/google-oauth2?next=/me"
    form = hidden_fields(client.get(address).content.decode())
    return lambda: client.post(address, {**form, "claim": ["gender"]})


def third_party(client: Any, chika: Any) -> Any:
    make_client("partner", name="Bikes & Co", first_party=False)
    address = App(client, "partner").authorize()["Location"]
    form = hidden_fields(client.get(address).content.decode())
    return lambda: client.post(address, {**form, "do": "allow"})


def device(client: Any, chika: Any) -> Any:
    make_client("partner", name="Bikes & Co", first_party=False, auth_method="none", grant_types=[DEVICE_CODE])
    asked = {"client_id": "partner", "scope": "openid email"}
    code = {"user_code": client.post("/oauth/device/code", asked).json()["user_code"]}
    form = hidden_fields(client.post("/activate", code).content.decode())
    return lambda: client.post("/activate", {**form, "do": "allow"})


FORMS = [
    Form("me", "usecases/decide_consent.py", me, (reword_purpose, widen_purpose)),
    Form("question", "usecases/answer_question.py", question, (reword_purpose, widen_purpose, repoint_question)),
    Form(
        "in an app", "usecases/answer_question.py", question_in_app, (reword_purpose, widen_purpose, repoint_question)
    ),
    Form("social", "usecases/complete_social_login.py", social, (reword_purpose, widen_purpose)),
    Form("third party", "interfaces/oidc/authorize.py", third_party, (rename_app,)),
    Form("device", "usecases/authorize.py", device, (rename_app,)),
]


@pytest.fixture
def signed_in(client, chika, google):
    chika.account = Account.objects.create_user()
    chika.save()
    client.force_login(chika.account, backend=BACKEND)
    return client


@pytest.mark.parametrize(
    ("form", "reword"),
    [pytest.param(form, reword, id=f"{form.name}, {reword.__name__}") for form in FORMS for reword in form.rewordings],
)
def test_old_page_takes_nothing_after_a_rewording(signed_in, chika, form, reword):
    send = form.open(signed_in, chika)
    reword()

    answer = send()

    assert answer.status_code == 409
    if answer["Content-Type"].startswith("application/json"):
        assert answer.json()["errorCode"] in ("notice_changed", "reworded")
    else:
        assert CHANGED in answer.content.decode()
    assert not ConsentEvent.objects.exists()
    assert not AppGrant.objects.exists()
    assert not DeviceRequest.objects.exclude(state=DeviceRequest.State.WAITING).exists()
    assert not Fact.objects.filter(attribute__in=("looking_for", "other_thing", "gender")).exists()
    assert "provider_logins" not in signed_in.session


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_page_of_now_is_taken(signed_in, chika, form):
    assert form.open(signed_in, chika)().status_code in (200, 302)
    connected = DeviceRequest.objects.filter(state=DeviceRequest.State.ALLOWED).exists()
    stored = ConsentEvent.objects.exists() or AppGrant.objects.exists() or "provider_logins" in signed_in.session
    assert connected or stored
    assert Purpose.objects.get(key="personalise").version == 1


def test_every_caller_of_the_ledger_is_a_form_of_this_table_or_no_form():
    callers = set()
    for path in SRC.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", None) or getattr(node.func, "attr", None)
                if name in ("Decision", "record_consent"):
                    callers.add(str(path.relative_to(SRC)))

    assert callers == {form.caller for form in FORMS if form.caller} | NOT_FORMS.keys()
