"""Every kind of provider signs a customer in, end to end, against its mock service: one suite for all."""

from __future__ import annotations

import json
import logging
import re
from contextlib import suppress
from dataclasses import dataclass, field
from html import unescape
from urllib.parse import parse_qs, urlsplit

import httpx2
import hypothesis
import pytest
from django.utils import timezone
from examples.mock_services.app import CLIENT_ID, CLIENT_SECRET
from examples.mock_services.networks import KEY_ID, NOOR, TEAM
from hypothesis import strategies as st
from joserfc.jwk import ECKey

from regulars.base.jobs.models import Job
from regulars.base.jobs.run_jobs import run_due
from regulars.base.text import storable
from regulars.connections.endpoints import address_of, settings_of
from regulars.connections.models import Connection
from regulars.connections.oauth_client import ProviderClient, ProviderError
from regulars.connections.provider import PROVIDERS, has_usable_value
from regulars.consent.models import ConsentEvent
from regulars.profiles.find import find_by_user_id
from regulars.profiles.models import Attribute, Profile, ProviderAnswer
from regulars.profiles.upstream_tokens import UpstreamRevocation, UpstreamToken
from tests.live import ask
from tests.notices import send_page

LENA, TOM, YUKI = "110248495921238986401", "110248495921238986403", "110248495921238986404"
APPLE_KEY = ECKey.generate_key("P-256").as_pem(private=True).decode()
PREFIX = "https://www.googleapis.com/auth/"


@dataclass(frozen=True)
class Case:
    """One kind of provider: its mock service, the customer who signs in, and what is known when they share claims."""

    strategy: str
    place: str
    user_id: str
    facts: dict[str, object]
    raw: tuple[str, ...]
    requested_claims: dict[str, tuple[str, ...]] = field(default_factory=dict)  # claim → scopes to grant
    learned: dict[str, object] = field(default_factory=dict)
    extra: dict[str, object] = field(default_factory=dict)
    consent: str = "/consent"

    @property
    def scopes(self) -> list[str]:
        return [scope for scopes in self.requested_claims.values() for scope in scopes]


NAMES = {"name": "Lena Vogt"}
MAIL = {"email": "lena.vogt@example.com", "email_verified": True}
UNPROVED = {**MAIL, "email_verified": False}
CASES = [
    Case(
        "google-oauth2",
        "google",
        f"google-oauth2|{LENA}",
        {**NAMES, **MAIL},
        ("userinfo", "id_token"),
        {"birthday": (f"{PREFIX}user.birthday.read",), "gender": (f"{PREFIX}user.gender.read",)},
        {"birthdate": "1997-03-07", "gender": "female"},
    ),
    Case(
        "facebook",
        "facebook",
        f"facebook|1022{LENA[-8:]}",
        {**NAMES, **UNPROVED, "given_name": "Lena"},
        ("permissions", "me"),
        {
            "birthday": ("user_birthday",),
            "gender": ("user_gender",),
            "location": ("user_location",),
            "likes": ("user_likes",),
        },
        {"birthdate": "1997-03-07", "gender": "female", "city": "Berlin", "interests": ["Alpine Ski", "Snow Fest"]},
    ),
    Case("twitter", "x", f"twitter|{LENA[-10:]}", {**NAMES, **MAIL, "nickname": "lena"}, ("user",)),
    Case("linkedin", "linkedin", f"linkedin|{LENA}", {**NAMES, **MAIL, "locale": "de-DE"}, ("userinfo", "id_token")),
    Case(
        "github",
        "github",
        f"github|{int(LENA[-6:])}",
        {**NAMES, **MAIL, "nickname": "lena"},
        ("user", "emails"),
        {"work": ()},
        {"employer": "norte"},
    ),
    Case(
        "apple",
        "apple",
        f"apple|001234.{LENA[-6:]}.0915",
        {**NAMES, "given_name": "Lena", "email": f"x{LENA[-3:]}@privaterelay.appleid.com", "email_verified": True},
        ("id_token", "user"),
        extra={"secret": APPLE_KEY, "settings": {"team_id": TEAM, "key_id": KEY_ID}},
    ),
    Case(
        "windowslive",
        "microsoft",
        f"windowslive|87d349ed-{LENA[-4:]}",
        {**NAMES, **UNPROVED, "locale": "de"},
        ("me",),
        {"work": ()},
        {"job_title": "Buyer"},
    ),
    Case(
        "amazon",
        "amazon",
        f"amazon|amzn1.account.{LENA[-6:]}",
        {**NAMES, **UNPROVED},
        ("profile",),
        {"postal_code": ("postal_code",)},
        {"postal_code": "10437"},
    ),
    Case(
        "oidc",
        "google",
        f"oidc|way|{LENA}",
        {**NAMES, **MAIL},
        ("userinfo", "id_token"),
        {"address": ("address",)},
        {"city": "Berlin", "postal_code": "10437", "country": "DE"},
        extra={"scopes": ["openid", "email", "profile"]},
    ),
    Case(
        "oauth2",
        "members",
        f"oauth2|way|{int(LENA[-6:])}",
        {**NAMES, **MAIL},
        ("user",),
        extra={
            "scopes": ["basic"],
            "settings": {
                "id_at": "member.no",
                "name_at": "member.called",
                "email_at": "member.mail",
                "email_verified_at": "member.proved",
            },
        },
    ),
]
every_provider = pytest.mark.parametrize("case", CASES, ids=lambda case: case.strategy)


def connect(case: Case, mock_services: str, **changes: object) -> Connection:
    place = f"{mock_services}/{case.place}"
    own = {"authorize": f"{place}/authorize", "token": f"{place}/token", "user": f"{place}/member"}
    urls = (
        own if case.strategy == "oauth2" else {"issuer": place} if PROVIDERS[case.strategy].openid else {"site": place}
    )
    given = {
        "client_id": CLIENT_ID,
        "secret": CLIENT_SECRET,
        "requested_claims": list(case.requested_claims),
        "urls": urls,
        **case.extra,
    }
    name = "way" if PROVIDERS[case.strategy].scoped_ids else case.strategy
    if case.strategy == "apple":
        with suppress(httpx2.HTTPError):
            ask("POST", f"{place}/forget")  # so that it sends the name again
    return Connection.objects.create(
        **{"name": name, "strategy": case.strategy, "display_name": "The Network", **given, **changes}
    )


def begin(client, connection: Connection, *requested_claims: str) -> str:
    answer = send_page(client, f"/login/{connection.name}?next=/authorize%3Fa%3Db", {"claim": list(requested_claims)})
    assert answer.status_code == 302, answer.content.decode()
    return answer["Location"]


def decide(case: Case, mock_services: str, away: str, *ticked: str, person: str = LENA, decision: str = "allow"):
    """Return what the provider sends after the decision: the path of our callback, or the fields of its form."""
    asked = {name: values[0] for name, values in parse_qs(urlsplit(away).query).items()}
    chosen = ask("GET", away)
    assert chosen.status_code == 200, chosen.text
    form = {**asked, "person": person, "decision": decision, "granted": list(ticked)}
    answer = ask("POST", f"{mock_services}/{case.place}/consent", data=form)
    if answer.status_code == 303:
        return urlsplit(answer.headers["location"])._replace(scheme="", netloc="").geturl()
    found = re.findall(r'name="(\w+)" value="([^"]*)"', answer.text)
    return {name: unescape(value) for name, value in found}


def come_back(client, sent):
    """Call our callback: by address, or by the form that Apple posts."""
    if isinstance(sent, str):
        return client.get(sent)
    redirected = client.post("/login/callback", sent)
    assert redirected.status_code == 303
    assert "Lena" not in redirected["Location"]
    return client.get(redirected["Location"])


def sign_in(client, case: Case, mock_services: str, *ticked: str, requested_claims: tuple[str, ...] = (), **who: str):
    connection = Connection.objects.get(strategy=case.strategy)
    sent = decide(case, mock_services, begin(client, connection, *requested_claims), *ticked, **who)
    return come_back(client, sent)


@pytest.fixture(autouse=True)
def _our_address(standard_setup, settings):
    settings.PUBLIC_URL, settings.DEMO = "http://localhost:8000", True


def test_suite_covers_every_provider():
    assert {case.strategy for case in CASES} == set(PROVIDERS)


@every_provider
def test_sign_in_yields_the_declared_facts(client, mock_services, case):
    connect(case, mock_services)

    back = sign_in(client, case, mock_services, "email")

    lena = find_by_user_id(case.user_id)
    assert (back.status_code, back["Location"]) == (302, "/authorize?a=b")
    assert client.session["_auth_user_id"] == str(lena.account.pk)
    assert {key: lena.document.get(key) for key in case.facts} == case.facts
    assert not set(case.learned) & set(lena.facts.values_list("attribute", flat=True))


@every_provider
def test_shared_claims_are_learned_with_consent(client, mock_services, case):
    connect(case, mock_services)

    sign_in(client, case, mock_services, "email", *case.scopes, requested_claims=tuple(case.requested_claims))

    lena = find_by_user_id(case.user_id)
    assert {key: lena.document.get(key) for key in case.learned} == case.learned
    assert all(fact.consents for fact in lena.facts.filter(attribute__in=case.learned))
    assert {event.evidence["claim"] for event in ConsentEvent.objects.all()} == set(case.requested_claims)


@pytest.mark.any_database
@every_provider
def test_partial_grant_signs_in(client, mock_services, case):
    connect(case, mock_services)
    optional = [scope for scope in case.scopes if scope]

    back = sign_in(client, case, mock_services, "email", *optional[1:], requested_claims=tuple(case.requested_claims))

    answer = ProviderAnswer.objects.get()
    assert back.status_code == 302
    assert answer.scopes_refused == optional[:1]
    assert set(answer.scopes_granted) | set(answer.scopes_refused) == set(answer.scopes_asked)


@every_provider
def test_raw_answer_is_stored_as_far_as_it_was_shared(client, mock_services, case):
    connect(case, mock_services)
    provider = PROVIDERS[case.strategy]
    chosen = tuple(case.requested_claims)

    sign_in(client, case, mock_services, "email", *case.scopes, requested_claims=chosen)
    everything = ProviderAnswer.objects.latest("id").raw
    sign_in(client, case, mock_services, "email", *case.scopes)
    nothing = ProviderAnswer.objects.latest("id").raw

    settings = settings_of(Connection.objects.get(strategy=case.strategy))
    for raw, shared in ((everything, set(chosen)), (nothing, set())):
        assert {each.requested_claim for each in provider.read(raw, settings)} - {""} == shared
        assert provider.user_id_of(raw, settings)
    assert {each.attribute for each in provider.read(nothing, settings)}.isdisjoint(case.learned)


@every_provider
def test_piece_that_is_sent_and_was_not_ticked_is_stored_nowhere(client, mock_services, case):
    """The connection's own scopes bring everything; the customer ticks nothing."""
    provider = PROVIDERS[case.strategy]
    own = case.extra.get("scopes") or provider.scopes
    wide = list(dict.fromkeys([*own, *(scope for claim in provider.requested_claims for scope in claim.scopes)]))
    connect(case, mock_services, scopes=wide)

    sign_in(client, case, mock_services, "email", *case.scopes)

    attributes = {each for claim in provider.requested_claims for each in claim.attributes}
    lena = find_by_user_id(case.user_id)
    settings = settings_of(Connection.objects.get(strategy=case.strategy))
    assert attributes.isdisjoint(lena.facts.values_list("attribute", flat=True))
    assert {each.requested_claim for each in provider.read(ProviderAnswer.objects.get().raw, settings)} == {""}
    assert not ConsentEvent.objects.exists()


@pytest.mark.any_database
@every_provider
def test_refusal_at_the_provider_returns_to_the_login_page(client, mock_services, case, caplog):
    connect(case, mock_services)
    caplog.set_level(logging.DEBUG)

    back = sign_in(client, case, mock_services, decision="deny")

    assert (back.status_code, "stopped=" in back["Location"]) == (302, True)
    assert not Profile.objects.exists()
    assert CLIENT_SECRET not in caplog.text
    assert "failed" not in caplog.text


@pytest.mark.any_database
@every_provider
def test_customer_with_few_claims_signs_in(client, mock_services, case):
    """Noor has no e-mail, Yuki has nothing but one, which is not proved."""
    connect(case, mock_services)

    people = [YUKI] if case.place == "google" else [NOOR.sub, YUKI]
    statuses = [sign_in(client, case, mock_services, person=person).status_code for person in people]

    assert statuses == [302] * len(people)
    assert Profile.objects.count() == len(people)
    assert not any(each.document["email_verified"] for each in Profile.objects.all() if "email" in each.document) or (
        case.strategy in ("twitter", "apple")  # which tell proved addresses only
    )


@pytest.mark.any_database
@every_provider
def test_wrong_secret_shows_an_error_page(client, mock_services, case):
    other = ECKey.generate_key("P-256").as_pem(private=True).decode()
    wrong = {"settings": {"team_id": "OTHER", "key_id": KEY_ID}, "secret": other} if case.strategy == "apple" else {}
    connect(case, mock_services, **(wrong or {"secret": "wrong"}))

    assert sign_in(client, case, mock_services).status_code == 502
    assert not Profile.objects.exists()


@pytest.mark.any_database
@every_provider
def test_unreachable_provider_shows_an_error_page(client, case):
    connection = connect(case, "http://localhost:1")

    answer = client.post(f"/login/{connection.name}")

    away = answer.get("Location", "")
    assert answer.status_code == (502 if PROVIDERS[case.strategy].openid else 302)
    if away:
        state = parse_qs(urlsplit(away).query)["state"][0]
        assert client.get("/login/callback", {"state": state, "code": "c"}).status_code == 502


@pytest.mark.any_database
@every_provider
def test_nonsense_in_an_answer_raises_no_error(case):
    provider = PROVIDERS[case.strategy]
    settings = {field.key: field.default for field in provider.settings}
    for nonsense in (None, 7, "x", [], [7], {}, {"data": 7}, {"sub": {}, "email": 7, "birthday": "31/31/1"}):
        raw = dict.fromkeys((*case.raw, "people"), nonsense)

        assert all(claim.attribute for claim in provider.read(raw, settings))
        provider.user_id_of(raw, settings)


NAMES_IN_ANSWERS = [
    "sub",
    "id",
    "data",
    "user",
    "userinfo",
    "id_token",
    "people",
    "me",
    "permissions",
    "emails",
    "profile",
    "name",
    "given_name",
    "firstName",
    "lastName",
    "email",
    "email_verified",
    "picture",
    "url",
    "locale",
    "language",
    "country",
    "address",
    "addresses",
    "locality",
    "postal_code",
    "phone_number",
    "phoneNumbers",
    "genders",
    "gender",
    "birthdays",
    "birthday",
    "birthdate",
    "date",
    "year",
    "month",
    "day",
    "metadata",
    "primary",
    "verified",
    "status",
    "permission",
    "likes",
    "organizations",
    "title",
    "location",
    "value",
    "user_id",
    "login",
    "avatar_url",
    "company",
    "displayName",
    "mail",
    "jobTitle",
    "confirmed_email",
]
answers = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("x" * 600),
    lambda inside: (
        st.lists(inside, max_size=3) | st.dictionaries(st.sampled_from(NAMES_IN_ANSWERS), inside, max_size=6)
    ),
    max_leaves=20,
)


@pytest.mark.any_database
@every_provider
@hypothesis.given(
    raw=st.dictionaries(
        st.sampled_from(["userinfo", "id_token", "people", "user", "me", "permissions", "emails", "profile"]), answers
    )
)
@hypothesis.settings(max_examples=60)
def test_any_answer_is_read_without_an_error(case, raw):
    provider = PROVIDERS[case.strategy]
    settings = {field.key: field.default for field in provider.settings}

    for claim in provider.read(raw, settings):
        assert claim.attribute
        json.dumps(storable(claim.value if has_usable_value(claim) else None), allow_nan=False)
    provider.user_id_of(raw, settings)
    provider.canonical_scopes(provider.granted(raw) or [])


@pytest.mark.any_database
@every_provider
def test_every_requested_claim_has_scopes_a_reason_and_known_attributes(standard_setup, case):
    known = set(Attribute.objects.values_list("key", flat=True))
    for claim in PROVIDERS[case.strategy].requested_claims:
        assert claim.why
        assert claim.scopes
        assert known.issuperset(claim.attributes)


REVOCABLE = [case for case in CASES if PROVIDERS[case.strategy].revoke]


def is_usable(case: Case, connection: Connection, token: UpstreamToken) -> bool:
    """Return whether the provider accepts the token. Apple has no such endpoint: there the refresh token is used."""
    kind = PROVIDERS[case.strategy]
    if case.strategy == "apple":
        try:
            return bool(ProviderClient(connection).refresh(token.refresh_token))
        except ProviderError:
            return False
    calls = {call.key: call for call in kind.calls}
    address = address_of(connection, next(iter(calls))) if not kind.openid else f"{connection.urls['issuer']}/userinfo"
    proof = kind.proof(token.access_token, CLIENT_SECRET)
    headers = {"Authorization": f"Bearer {token.access_token}"}
    return httpx2.get(address, params=proof, headers=headers, trust_env=False).status_code == 200


@pytest.mark.parametrize("case", REVOCABLE, ids=lambda case: case.strategy)
def test_erasure_ends_the_grant_at_the_provider(client, mock_services, case):
    connection = connect(case, mock_services)
    sign_in(client, case, mock_services, "email")
    token = UpstreamToken.objects.get()
    before = case.strategy == "apple" or is_usable(case, connection, token)
    proof = client.post("/me/erase", {"understood": "yes"})["Location"]
    waiting = client.get(proof).content.decode()
    run_due()
    row = UpstreamRevocation.objects.get()

    assert before
    assert "The Network: Asked to end what you allowed; not confirmed yet" in waiting
    assert (row.state, row.secret, row.why) == ("ended", {}, "")
    assert not is_usable(case, connection, token)
    assert "The Network: Has ended what you allowed" in client.get(proof).content.decode()


def test_apple_revocation_is_retried_with_corrected_credentials(client, mock_services):
    case = next(case for case in CASES if case.strategy == "apple")
    connection = connect(case, mock_services)
    sign_in(client, case, mock_services, "email")
    token, right = UpstreamToken.objects.get(), connection.settings
    connection.settings = {**right, "team_id": "OTHER"}
    connection.save()
    client.post("/me/erase", {"understood": "yes"})
    run_due()
    refused = UpstreamRevocation.objects.get()
    connection.settings = right
    connection.save()
    Job.objects.update(due_at=timezone.now())
    run_due()

    assert (refused.state, refused.tries) == ("waiting", 1)
    assert refused.why == "the provider does not accept our client id and secret"
    assert UpstreamRevocation.objects.get().state == "ended"
    assert not is_usable(case, connection, token)


def test_provider_without_revocation_is_named_on_the_proof(client, mock_services):
    case = next(case for case in CASES if case.strategy == "linkedin")
    connect(case, mock_services)
    sign_in(client, case, mock_services, "email")
    proof = client.post("/me/erase", {"understood": "yes"})["Location"]

    assert "The Network: Only you can end it, in your settings there" in client.get(proof).content.decode()
    assert not Job.objects.filter(kind="upstream.revoke_erased").exists()


def test_apple_sends_the_name_once_and_it_is_kept(client, mock_services):
    case = next(case for case in CASES if case.strategy == "apple")
    connect(case, mock_services)
    for person in (TOM, TOM):
        sign_in(client, case, mock_services, person=person)

    first, second = ProviderAnswer.objects.order_by("pk")
    assert Profile.objects.get().document["name"] == "Tom Okafor"
    assert "user" not in second.raw
    assert first.identity == second.identity
