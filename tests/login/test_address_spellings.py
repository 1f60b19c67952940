"""`anna@bücher.example` and `anna@xn--bcher-kva.example` are one address, at every place where one is entered or sought."""

from __future__ import annotations

import importlib
import json
import re

import pytest
from allauth.account.models import EmailAddress
from django.apps import apps
from django.core import mail
from django.test import Client as Browser
from tests.management_api.conftest import ApiClient
from tests.usecases.test_complete_social_login import provider_login

from regulars.accounts.models import Account
from regulars.base.email_address import canonical_email, readable_email
from regulars.base.errors import Invalid
from regulars.base.jobs.models import Job
from regulars.base.jobs.run_jobs import run_due
from regulars.clients.register import ClientSpec, register
from regulars.connections.models import Connection
from regulars.connections.provider import ProviderClaim
from regulars.consent.models import PermittedView
from regulars.consent.refresh import refresh_views
from regulars.oauth.grant import PASSWORDLESS_OTP
from regulars.operations import staff
from regulars.operations.doctor import run_checks
from regulars.profiles.models import Fact, Profile
from regulars.usecases.account_mails import mail_reset_link
from regulars.usecases.complete_social_login import complete_social_login
from regulars.usecases.erase import erase_customer
from regulars.usecases.erase import find_customers as find_to_erase
from regulars.usecases.find_customers import find_customers
from regulars.usecases.link_accounts import find_link_proposals

from .conftest import PASSWORD

STORED = "anna@xn--bcher-kva.example"
SPELLINGS = [
    "anna@bücher.example",
    STORED,
    "Anna@BÜCHER.example",
    "anna@bu\u0308cher。example",
    " ANNA@XN--BCHER-KVA.Example ",
]
OTHERS = ["anna@bucher.example", "ann@bücher.example", "anna@bücher.example.com"]
SHOP = "https://shop.example"
canonical_addresses = importlib.import_module("regulars.consent.migrations.0005_canonical_addresses")


@pytest.fixture
def anna(passwords, client, last_link) -> Account:
    """Return the account of Anna, who signed up with the Unicode spelling and signed out again."""
    client.post("/signup", {"email": SPELLINGS[0], "password": PASSWORD})
    client.post(last_link())
    client.post("/logout")
    return Account.objects.get()


@pytest.fixture
def by_mail(standard_setup) -> Connection:
    return Connection.objects.create(name="email", strategy="email", display_name="E-mail code")


@pytest.fixture
def api_client(client, standard_setup) -> ApiClient:
    client.raise_request_exception = False
    return ApiClient(client)


def mailed_to() -> list[str]:
    mail.outbox.clear()
    run_due()
    return [to for message in mail.outbox for to in message.to]


@pytest.mark.parametrize("address", SPELLINGS)
def test_every_spelling_has_one_form(address):
    assert canonical_email(address).lower() == STORED
    assert readable_email(STORED) == SPELLINGS[0]


@pytest.mark.parametrize(
    ("address", "form"),
    [
        ("anna@straße.example", "anna@xn--strae-oqa.example"),
        ("anna@ｍail.example", "anna@mail.example"),  # one domain to DNS; mails go to the latter
        ("anna@☃.example", "anna@xn--n3h.example"),  # not in IDNA 2008, and in use
        ("anna@_x.bücher.example", "anna@_x.xn--bcher-kva.example"),
        ("anna@xn--a", "anna@xn--a"),
        ("anna@[192.0.2.1]", "anna@[192.0.2.1]"),
        ("bücher.example", "bücher.example"),
        (f"anna@{'ü' * 200}.example", f"anna@{'ü' * 200}.example"),
        ("a\0nna@\ud800.example", "a\N{REPLACEMENT CHARACTER}nna@\N{REPLACEMENT CHARACTER}.example"),
    ],
)
def test_what_is_no_usual_domain_has_one_form_too(address, form):
    assert canonical_email(address) == form == canonical_email(form)


def test_a_customer_signs_in_with_every_spelling_and_no_other_address(anna):
    def answer(email: str) -> int:
        return Browser().post("/login", {"email": email, "password": PASSWORD}).status_code

    assert anna.email == STORED
    assert [answer(each) for each in SPELLINGS] == [302] * 5
    assert [answer(each) for each in OTHERS] == [401] * 3


def test_guesses_at_every_spelling_are_counted_together(anna):
    answers = [
        Browser().post("/login", {"email": SPELLINGS[n % 5], "password": "wrong wrong"}).status_code for n in range(11)
    ]

    assert answers == [401] * 10 + [429]


@pytest.mark.parametrize("address", SPELLINGS)
def test_a_second_sign_up_is_known_and_a_reset_is_mailed(anna, client, address):
    client.post("/signup", {"email": address, "password": PASSWORD})

    assert mailed_to() == [STORED]
    assert mail.outbox[0].subject == "You already have an account"

    client.post("/password/reset", {"email": address})

    assert mailed_to() == [STORED]
    assert SPELLINGS[0] in mail.outbox[0].body  # people read the Unicode form


@pytest.mark.parametrize("address", SPELLINGS)
def test_a_mailed_code_opens_the_same_account(anna, by_mail, client, address):
    page = client.post("/code", {"email": address})["Location"]

    assert mailed_to() == [STORED]

    client.post(page, {"digits": re.search(r"^(\d{6})$", mail.outbox[-1].body, re.M)[1]})

    assert client.session["_auth_user_id"] == str(anna.pk)


def test_forms_of_apps_accept_every_spelling(anna, by_mail, client):
    grants = [PASSWORDLESS_OTP]
    app, _ = register(ClientSpec("Shop", "none", grant_types=grants, web_origins=[SHOP], embeds_login=True))

    def call(path: str, body: dict[str, str]):
        sent = json.dumps({"client_id": app.pk, **body})
        return client.post(path, sent, content_type="application/json", headers={"Origin": SHOP})

    for address in SPELLINGS:
        credentials = {"username": address.strip(), "password": PASSWORD, "credential_type": "password"}
        assert call("/co/authenticate", credentials).status_code == 200
    call("/dbconnections/signup", {"email": SPELLINGS[2], "password": PASSWORD})
    call("/dbconnections/change_password", {"email": SPELLINGS[3]})

    assert mailed_to() == [STORED, STORED]

    call("/passwordless/start", {"connection": "email", "email": SPELLINGS[0], "send": "code"})
    run_due()
    otp = re.search(r"(?m)^\d{6}$", mail.outbox[-1].body)[0]

    assert call("/passwordless/verify", {"email": STORED, "verification_code": otp}).status_code == 200

    body = {"grant_type": PASSWORDLESS_OTP, "username": STORED, "otp": otp, "realm": "email", "scope": "openid"}

    assert call("/oauth/token", body).status_code == 200
    assert Account.objects.get() == anna


def test_the_management_api_creates_finds_and_changes_one_user(passwords, api_client):
    new = {"connection": passwords.name, "password": PASSWORD, "email_verified": True}
    user = api_client.call("POST", "/v2/users", {**new, "email": SPELLINGS[2]}).json()
    again = api_client.call("POST", "/v2/users", {**new, "email": STORED})
    moved = api_client.call("PATCH", f"/v2/users/{user['user_id']}", {"email": SPELLINGS[3]}).json()

    assert user["email"] == STORED
    assert again.status_code == 409
    assert (moved["email"], moved["email_verified"]) == (STORED, True)
    for address in (SPELLINGS[0], STORED, SPELLINGS[3]):
        assert [each["user_id"] for each in api_client.get("/v2/users-by-email", email=address)] == [user["user_id"]]
    for q in (
        f'email:"{SPELLINGS[0]}"',
        f'email:"{SPELLINGS[2]}"',
        f"email:{STORED}",
        "email:*@bücher.example",
        "email:anna@bücher*",
        "email:*bücher*",
        "email:*xn--bcher-kva.example",
        'email.domain:"bücher.example"',
        "email.domain:xn--bcher-kva.example",
        f'"{SPELLINGS[0]}"',
    ):
        assert [each["user_id"] for each in api_client.get("/v2/users", q=q)] == [user["user_id"]], q
    for q in (f'email:"{OTHERS[0]}"', "email:*@bucher.example", 'email.domain:"bucher.example"', "email:*bücherei*"):
        assert api_client.get("/v2/users", q=q) == [], q


@pytest.mark.parametrize("text", [SPELLINGS[0], STORED, "bücher", "anna", "email:*@bücher.example"])
def test_staff_find_a_customer_by_every_spelling(anna, text):
    assert [each.account for each in find_customers(text).people] == [anna]


@pytest.mark.parametrize("name", [SPELLINGS[0], STORED, SPELLINGS[2]])
def test_an_erasure_finds_the_customer_by_every_spelling(anna, name):
    assert [each.account for each in find_to_erase(name)] == [anna]


def test_an_erasure_removes_jobs_with_both_spellings(anna):
    mail_reset_link(SPELLINGS[0], "/")
    mail_reset_link(STORED, "/")
    mail_reset_link(OTHERS[1], "/")
    erase_customer(anna.profile, "staff:ana")
    left = Job.objects.filter(kind="accounts.mail_reset").values_list("payload", flat=True)

    assert [each["email"] for each in left] == [OTHERS[1]]


def test_a_provider_and_our_own_sign_up_are_proposed_to_be_linked(anna, standard_setup):
    claims = (ProviderClaim("email", SPELLINGS[3], "verified"), ProviderClaim("email_verified", True, "verified"))
    profile = Profile.objects.get(account=complete_social_login(provider_login(claims=claims)))
    proposals = find_link_proposals(profile)

    assert profile.document["email"] == STORED
    assert [each.profile.account for each in proposals] == [anna]


def test_staff_have_one_account_and_sign_in_with_every_spelling(standard_setup, settings):
    settings.DEMO = True
    password = staff.add(SPELLINGS[0], "admin")
    with pytest.raises(Invalid, match="already"):
        staff.add(STORED, "viewer")

    for address in SPELLINGS:
        assert Browser().post("/console/login", {"email": address, "password": password}).status_code == 302


@pytest.fixture
def from_before(anna) -> Profile:
    """Return Anna's profile as an earlier version stored it."""
    refresh_views(anna.profile)
    old = SPELLINGS[0]
    Account.objects.filter(pk=anna.pk).update(email=old)
    EmailAddress.objects.filter(user=anna).update(email=old)
    Fact.objects.filter(attribute="email").update(value=old)
    for row, values in ((anna.profile, "document"), *((each, "traits") for each in PermittedView.objects.all())):
        if "email" in getattr(row, values):
            getattr(row, values)["email"] = old
        row.terms |= {"email": [f"s:{old}"], "email.domain": ["s:bücher.example"]}
        row.save()
    return anna.profile


def migrate() -> None:
    canonical_addresses.write_accounts(apps, None)
    canonical_addresses.write_facts(apps, None)


def test_an_upgrade_writes_stored_addresses_in_portions(from_before, api_client, monkeypatch):
    monkeypatch.setattr(canonical_addresses, "PORTION", 2)
    for number in range(5):
        Account.objects.create_user(f"other{number}@example.com")
    Account.objects.create_user("zoe@x.example", None)
    Account.objects.filter(email="zoe@x.example").update(email="zoe@BÜCHER.example")
    migrate()
    from_before.refresh_from_db()

    assert from_before.account.email == STORED
    assert EmailAddress.objects.get(user=from_before.account).email == STORED
    assert Account.objects.filter(email="zoe@xn--bcher-kva.example").exists()
    assert (from_before.document["email"], from_before.terms["email"]) == (STORED, [f"s:{STORED}"])
    assert [each["email"] for each in api_client.get("/v2/users", q='email:"anna@bücher.example"')] == [STORED]
    served = PermittedView.objects.get(profile=from_before, purpose="serve")
    assert (served.traits["email"], served.terms["email.domain"]) == (STORED, ["s:xn--bcher-kva.example"])
    assert "address_twice" not in [each.code for each in run_checks()]


def test_an_upgrade_leaves_two_accounts_with_one_address_and_doctor_names_them(from_before, client, caplog):
    """Each goes on signing in with the spelling that it was made with."""
    profile = Profile.objects.create(
        user_id="auth0|second", account=Account.objects.create_user(STORED, "another long one")
    )
    profile.identities.create(provider="auth0", provider_user_id="second")
    migrate()
    from_before = Profile.objects.get(pk=from_before.pk)

    assert from_before.account.email == SPELLINGS[0]
    assert f"account {from_before.account.pk} keeps its address" in caplog.text
    assert [each.message for each in run_checks() if from_before.account.key in each.message and not each.passed]
    assert client.post("/login", {"email": SPELLINGS[0], "password": PASSWORD}).status_code == 302
    assert client.session["_auth_user_id"] == str(from_before.account.pk)
    assert Browser().post("/login", {"email": STORED, "password": "another long one"}).status_code == 302
