"""No page that a customer of the demo reads shows a key, a scope, an id or a code, and each speaks one language.

Every page is read in every language, as several customers, with what the business and the customer wrote taken out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from bs4 import BeautifulSoup
from django.conf import settings
from django.test import Client as Browser
from examples.demo.seed import seed
from tests.sessions import open_session

from regulars.clients.models import Client
from regulars.connections.models import Connection
from regulars.connections.provider import PROVIDERS
from regulars.consent.models import ConsentEvent, Erasure, Purpose
from regulars.destinations.models import Destination, Disclosure
from regulars.destinations.versions import version_of
from regulars.enrichment.source import SOURCES
from regulars.events.models import Source
from regulars.profiles.attributes import languages_without
from regulars.profiles.learn import NewFact, learn
from regulars.profiles.models import Attribute, Fact, Identity, Profile, ProviderAnswer
from regulars.questions.models import Impression, Question
from regulars.questions.next_question import next_question
from regulars.questions.wording import languages_without as asked_not_in
from regulars.rules.models import Rule
from regulars.segments.models import Membership, Segment
from regulars.usecases.customer_data import facts_of
from regulars.usecases.retention import KINDS

from .test_seed import HERE, quietly, shop

pytestmark = pytest.mark.any_database

__all__ = ["shop"]

PEOPLE = 60
CODES = [code for code, _ in settings.LANGUAGES]
RAW = {
    "a web address, such as a scope": r"https?://",
    "a key of several words": r"\b[a-z0-9]+_[a-z0-9_]+\b",
    "an id": r"\b[0-9a-f]{8}-[0-9a-f-]{20,}\b|\b[a-z0-9-]+\|\S+|\b(?=\w*[0-9])(?=\w*[a-zA-Z])\w{20,}\b|\b[0-9]{12,}\b",
    "a condition": r"\bdid\(|\b[A-Za-z][\w.]*:[(\[\w]|\bAND\b|\bOR\b",
    "an instant as machines write it": r"\b[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "a path in a document": r"\b[a-z]+_?[a-z]+\.[a-z]+_[a-z]+\b",
    "braces of a text that was not filled in": r"[{}]|%\(",
}
ENGLISH = re.compile(r"(?:\b[A-Za-z]{2,}\b[ ,.’']*){3,}")
# Words of these pages and of the demo that no other language of the pages has.
ENGLISH_WORDS = re.compile(
    r"\b(?:the|you|your|and|with|what|which|this|that|have|from|yes|of|we|our|when|how|their|were|been|looking|age|shoe|"
    r"buys|size|women|jackets|boots|shirts|knitwear|bags|myself|children|partner of|verified|gender|phone|city|country|"
    r"language|birth|first name|last name|account|erase)\b",
    re.IGNORECASE,
)
# Names that are the same in every language, and words of these pages that are.
SAME = ("Regulars", "Google", "Facebook", "LinkedIn", "Harbour & Pine", "JSON", "CSV", "UTC", "QR")
OPEN = ("/", "/login", "/signup", "/code", "/code/enter", "/password/reset", "/nowhere", "/v2/logout", "/login/nowhere")
OPEN += (
    "/authorize?client_id=missing",
    "/signup/finish?token=none",
    "/code/open?link=none",
    "/login?stopped=google-oauth2",
)
OWN = (
    "/",
    "/me",
    "/me/data",
    "/me/erase",
    "/me/accounts",
    "/me/security",
    "/me/security/codes",
    "/logout",
    "/oidc/logout",
)
OWN += ("/activate", "/question", "/question?impression=0", "/me/portable.xml", "/me/facts/correct?attribute=none")


@pytest.fixture
def everybody(shop) -> list[Profile]:
    """Customers whose pages have much on them; one has something of every kind."""
    seed(HERE, quietly, PEOPLE)
    signed_up = Profile.objects.exclude(account=None)
    rich = sorted(signed_up, key=lambda each: (-each.facts.count(), each.pk))
    with_groups = [each for each in rich if each.memberships.filter(state=Membership.State.IN).exists()]
    fill(rich[0])
    return [rich[0], with_groups[0], rich[-1]]


def fill(profile: Profile) -> None:
    """Give a customer facts of every kind of source, a value of every kind of decision and what was disclosed to others."""
    app = Client.objects.get(client_id="shop")
    bought = Client.objects.create(client_id="bXzyj6L32qPq7wT9uY5s", name="Outlet")
    rule = Rule.objects.get(slug="first-login-flag")
    learn(
        profile,
        [
            NewFact("app_metadata.first_login.client", "Harbour & Pine", "declared", f"rule:{rule.slug}"),
            NewFact("app_metadata.first_login.connection", "google-oauth2", "declared", f"rule:{rule.slug}"),
            NewFact("city", "Porto", "enriched", "source:fullcontact", confidence=0.6),
            NewFact("country", "PT", "enriched", "source:us-census"),
            NewFact("region", "Norte", "declared", f"app:{bought.client_id}"),
            NewFact("gender", "female", "declared", f"app:{bought.client_id}:gender@1"),
            NewFact("time_zone", "Lisbon", "observed", f"app:{app.client_id}"),
            NewFact("employer", "Cais", "declared", "app:gone-0f3a9c8b7d6e5f4a3b2c"),
            NewFact("job_title", "Cook", "declared", "rule:deleted-rule-17"),
            NewFact("nickname", "Zee", "declared", "import:newsletter"),
            NewFact("phone_kind", "mobile", "declared", "staff"),
            NewFact("interests", ["jackets", "boots"], "declared", "customer"),
            NewFact(
                "user_metadata.plan_name", {"shipping_kind": "Fast", "size": "M"}, "declared", f"app:{app.client_id}"
            ),
        ],
    )
    identity = profile.identities.get(provider="google-oauth2")
    scopes = [scope for claim in PROVIDERS["google-oauth2"].requested_claims for scope in claim.scopes]
    asked = ["openid", "email", "profile", *scopes]
    ProviderAnswer.objects.create(
        identity=identity, raw={"sub": "1"}, scopes_asked=asked, scopes_granted=asked[:4], scopes_refused=asked[4:]
    )
    for provider, number in (
        ("external", "C-1042"),
        ("anonymous", "b1048387-0f5e-4f7e-9d5c-1f2a3b4c5d6e"),
        ("oidc", "x"),
    ):
        Identity.objects.create(profile=profile, provider=provider, provider_user_id=number)
    for number, action in enumerate(ConsentEvent.Action.values):
        ConsentEvent.objects.create(
            profile=profile,
            purpose_id="personalise",
            purpose_version=1,
            action=action,
            method="profile",
            hash=str(number),
        )
    template = Impression.objects.first()
    assert template
    for day, outcome in enumerate(Impression.Outcome.values, start=1):
        earlier = replace_row(template, profile=profile, day=f"2025-01-{day:02}", outcome=outcome, follows=None)
        earlier.save()
    for state in Disclosure.State.values:
        partner = Destination.objects.create(slug=f"x-{state}", name="Partner", kind="webhook", purpose_id="share")
        fields = {"mail": {"attribute": "email", "fact": 1}, "g": {"attribute": "gender", "fact": 2}}
        version = version_of(partner)
        Disclosure.objects.create(destination=partner, version=version, profile=profile, state=state, fields=fields)
    for segment in Segment.objects.all():
        Membership.objects.update_or_create(profile=profile, segment=segment, defaults={"state": Membership.State.IN})


def replace_row(row: Impression, **more: object) -> Impression:
    values = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    values.pop("id")
    profile = more.pop("profile")
    return Impression(**{**values, "profile_id": profile.pk, **more})


def pages_of(profile: Profile) -> Iterator[str]:
    yield from OWN
    for connection in Connection.objects.filter(enabled=True).exclude(strategy="auth0"):
        yield f"/login/{connection.name}"
        yield f"/login/{connection.name}?more=1"
        yield f"/login/{connection.name}?link=1"
    for fact in facts_of(profile):
        if fact.may_correct:
            yield f"/me/facts/correct?attribute={fact.attribute}"
    for number in profile.consent_events.order_by("-pk").values_list("pk", flat=True)[:3]:
        yield f"/me/decisions/{number}"
    impression = next_question(profile)
    if isinstance(impression, Impression):
        yield f"/question?impression={impression.pk}"


def written_by_people(profile: Profile | None) -> list[str]:
    """What the business or the customer wrote: it stays in the language it was written in."""
    texts = [*Segment.objects.values_list("name", flat=True), *Destination.objects.values_list("name", flat=True)]
    texts += [*Client.objects.values_list("name", flat=True), *Source.objects.values_list("name", flat=True)]
    texts += Rule.objects.values_list("name", flat=True)
    texts += [source.title for source in SOURCES.values()]  # names of services, as recipients
    for purpose in Purpose.objects.all():
        texts += [purpose.text, purpose.label] if profile else []  # the words that were shown then, in the record
    if profile:  # so are the words of a question that was shown
        for words in profile.impressions.values_list("words", flat=True):
            texts += words.split("\n")
    if profile:
        for value in Fact.objects.filter(profile=profile).values_list("value", flat=True):
            texts += [value] if isinstance(value, str) else []
            texts += [str(each) for each in value.values()] if isinstance(value, dict) else []
            texts += value if isinstance(value, list) else []
        texts += ["Plan name", "newsletter", "Newsletter"]  # what has no name but its key, in words
    return sorted({text for text in texts if len(text) > 1}, key=len, reverse=True)


def words_of(html: str) -> str:
    """What a person reads, without the names of other languages, and the secret that is typed into an app.

    Nor what only opens under *As machines keep it*: the rows of an access request are as they are.
    """
    page = BeautifulSoup(html, "html.parser")
    for part in page.select("script, style, .languages, ul.codes, ol.steps code, details.machine > :not(summary)"):
        part.decompose()
    shown = [page.get_text(" ")]
    for field in page.find_all(True):
        shown += [str(field[name]) for name in ("alt", "title", "placeholder", "aria-label") if field.get(name)]
    return re.sub(r"\s+", " ", " ".join(shown))


def read(browser: Browser, path: str, language: str) -> tuple[str, str]:
    joint = "&" if "?" in path else "?"
    answer = browser.get(f"{path}{joint}language={language}")
    if answer.status_code in (301, 302, 303):
        return "", ""
    html = answer.content.decode()
    return html, words_of(html)


def problems_of(where: str, html: str, words: str, language: str, written: list[str]) -> Iterator[str]:
    if not html:
        return
    if f'lang="{language}"' not in html.partition(">")[2][:60] and "question" not in where:
        yield f"{where}: the page is not in {language}"
    if html.count('class="languages"') != 1:
        yield f"{where}: no switch of the language"
    for text in written:
        words = words.replace(text, "…")
    for name in SAME:
        words = words.replace(name, "…")
    for what, pattern in RAW.items():
        for found in re.finditer(pattern, words):
            yield f"{where}: {what}: {words[max(0, found.start() - 40) : found.end() + 20]}"
    if language == "en":
        return
    for key in (*PROVIDERS, *Connection.objects.values_list("name", flat=True), *ENUMS):
        if re.search(rf"(?<![\w@.-]){re.escape(key)}(?![\w@.-])", words):
            yield f"{where} ({language}): the key {key!r}"
    if language in ("ja", "ar") and (found := ENGLISH.search(words)):
        yield f"{where} ({language}): English: {found[0][:80]}"
    for found in ENGLISH_WORDS.finditer(words):
        yield f"{where} ({language}): English: {words[max(0, found.start() - 40) : found.end() + 20]}"


ENUMS = {
    *KINDS, "serve", "personalise", "measure", "enrich", "retracted", "given", "withdrawn", "objected", "shown",
    "answered", "passed", "never", "declined", "attempted", "sent", "removing", "removed", "failed", "observed",
    "inferred", "enriched", "declared", "female", "birthdate", "given_name", "openid", "On", "Off",
}  # fmt: skip


def test_every_page_before_signing_in(everybody):
    found, written = [], written_by_people(None)
    for language in CODES:
        browser = Browser()
        for path in (*OPEN, *(f"/login/{name}" for name in Connection.objects.values_list("name", flat=True))):
            html, words = read(browser, path, language)
            found += problems_of(path, html, words, language, written)

    assert not found, "\n".join(found)


def test_every_page_of_a_customer(everybody):
    found: list[str] = []
    for profile in everybody:
        browser = Browser()
        browser.cookies[settings.SESSION_COOKIE_NAME] = open_session(profile.account)
        paths = list(pages_of(profile))
        for language in CODES:
            written = written_by_people(profile)  # a question that this walk was shown stays as it was shown
            for path in paths:
                html, words = read(browser, path, language)
                found += problems_of(path, html, words, language, written)
        answer = browser.post("/me/facts/remove?language=en", {"attribute": "none"})
        found += problems_of("POST /me/facts/remove", answer.content.decode(), "", "en", written)

    assert not found, "\n".join(found)


def test_proof_of_an_erasure_lists_kinds_of_data_and_no_tables(everybody):
    profile = everybody[0]
    written = written_by_people(profile)
    browser = Browser()
    browser.cookies[settings.SESSION_COOKIE_NAME] = open_session(profile.account)
    proof = browser.post("/me/erase", {"understood": "1"})["Location"]
    found: list[str] = []
    for language in CODES:
        html, words = read(Browser(), proof, language)
        found += problems_of("/me/erased", html, words, language, written)
    english = read(Browser(), proof, "en")[1]

    assert not found, "\n".join(found)
    assert Erasure.objects.exists()
    for kind in (
        "What we knew about you",
        "How you signed in",
        "What you decided",
        "What you were asked",
        "What you did",
    ):
        assert kind in english


def test_everything_that_the_demo_asks_and_keeps_is_in_every_language(everybody):
    kept = Fact.objects.values_list("attribute", flat=True).distinct()
    named = {each.key: each for each in Attribute.objects.filter(key__in=kept)}
    missing = [f"{key}: {languages_without(each)}" for key, each in named.items() if languages_without(each)]
    missing += [f"{each.key}: {asked_not_in(each)}" for each in Question.objects.all() if asked_not_in(each)]

    assert len(named) >= 10
    assert not missing, "\n".join(missing)
