"""Two members of staff at one form, and one who presses twice: nothing is undone unseen, and nothing is made twice.

Every address that takes a POST is in one of the tables below. A new one without its mechanism fails.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import connections
from django.db.models import Model
from tests.console.conftest import browser_of
from tests.console.staff_browser import StaffBrowser, fields_in, page_of

from regulars.accounts.models import Account
from regulars.base.plugins.fields import HIDDEN
from regulars.clients.models import Client as App
from regulars.clients.register import ClientSpec, register
from regulars.connections.models import Connection
from regulars.connections.save import ConnectionSpec, save_connection
from regulars.consent.models import Purpose
from regulars.destinations.models import Destination
from regulars.destinations.save import save_destination
from regulars.events.models import Source
from regulars.interfaces.console.edits import NUMBER, VERSION
from regulars.interfaces.console.models import AuditEntry, SentForm
from regulars.interfaces.console.urls import urlpatterns
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact, learn
from regulars.questions.models import Question
from regulars.questions.question_type import AnswerOption
from regulars.questions.save import QuestionDraft, save_question
from regulars.rules.models import Rule
from regulars.rules.save import save_rule
from regulars.segments.models import Segment
from regulars.segments.save import save_segment

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("standard_setup", "lake")]
FINE = "function (user, context, callback) { callback(null, user, context); }"
WEBHOOK = {"url": "https://mailer.example/hooks", "secret": "whsec_" + "QUFB" * 10}
SETTINGS = {f"setting.{key}": value for key, value in WEBHOOK.items()}
GOOGLE = ConnectionSpec("google-oauth2", "google-oauth2", "Google", client_id="shop", secret="very-secret-4711")
SIZE = QuestionDraft(
    "size", "Which size?", "To fit you.", "single_choice", "size", "personalise",
    (AnswerOption("s", "Small"), AnswerOption("l", "Large")),
)  # fmt: skip


def _app() -> str:
    return f"/console/applications/{register(ClientSpec('Shop', redirect_uris=['https://shop.example/cb']))[0].pk}"


def _passwords() -> str:
    Connection.objects.create(name="Users", strategy="auth0", display_name="E-mail")
    return "/console/connections/Users/passwords"


def _correction() -> str:
    profile, _ = get_or_create_by_identity("external", "chika", connection="crm")
    learn(profile, [NewFact("city", "Lagos", "social", "facebook")])
    return f"/console/customers/{profile.user_id.replace('|', '%7C')}/correct?attribute=city"


def _destination() -> str:
    save_destination("Mailer", "webhook", WEBHOOK, purpose="message", segment_slugs=[])
    return "/console/destinations/mailer"


def _at(address: str, make: Callable[[], object]) -> Callable[[], str]:
    def made() -> str:
        make()
        return address

    return made


@dataclass(frozen=True)
class Edit:
    """An edit form: how to get to one, what the first member of staff changes, and the second. `kept` is read on the refused page."""

    open: Callable[[], str]
    first: dict[str, Any]
    second: dict[str, Any]
    kept: str
    shown: tuple[str, str] = ("", "")  # stored and typed, as compared; empty: as in `first` and `second`


CITY = "/console/segments/tall/edit"
EDITS = {
    "rules/<slug:slug>": Edit(
        _at("/console/rules/greet", lambda: save_rule("Greet", script=FINE)),
        {"script": FINE + " // by the first"},
        {"script": FINE + " // by the second"},
        "// by the second",
    ),
    "rules/settings": Edit(
        _at("/console/rules/settings", lambda: None),
        {"key": "CRM", "value": "secret-of-the-first"},
        {"key": "ERP", "value": "secret-of-the-second"},
        'value="ERP"',
        (f"CRM {HIDDEN}", "ERP"),
    ),
    "connections/<slug:name>": Edit(
        _at("/console/connections/google-oauth2", lambda: save_connection(GOOGLE)),
        {"display_name": "Google first"},
        {"note": "By the second"},
        'value="By the second"',
        ("Google first", "By the second"),
    ),
    "connections/<slug:name>/passwords": Edit(_passwords, {"min_length": "12"}, {"min_length": "14"}, 'value="14"'),
    "applications/<slug:client_id>": Edit(_app, {"name": "Shop first"}, {"name": "Shop second"}, 'value="Shop second"'),
    "applications/<slug:client_id>/branding": Edit(
        lambda: _app() + "/branding", {"title": "First"}, {"title": "Second"}, 'value="Second"'
    ),
    "segments/<slug:slug>/edit/save": Edit(
        _at(f"{CITY}/save?for=personalise&as=text&text=city%3ABraga", lambda: save_segment("Tall", "city:Porto", "personalise")),
        {"name": "Tall first"},
        {"name": "Tall second"},
        'value="Tall second"',
    ),
    "questions/<slug:key>": Edit(
        _at("/console/questions/size", lambda: save_question(SIZE)),
        {"text": "Which size first?"},
        {"text": "Which size second?"},
        'value="Which size second?"',
    ),
    "questions/settings": Edit(
        _at("/console/questions/settings", lambda: None), {"quiet_days": "61"}, {"quiet_days": "62"}, 'value="62"'
    ),
    "sources/<slug:key>": Edit(
        _at("/console/sources/us-census-acs", lambda: None),
        {"setting.year": "2023", "setting.api_key": "key-of-the-first"},
        {"setting.year": "2022", "setting.api_key": "key-of-the-second"},
        'value="2022"',
    ),
    "privacy/attributes/<str:key>": Edit(
        _at("/console/privacy/attributes/city", lambda: None), {"label": "Town"}, {"label": "Village"}, 'value="Village"'
    ),
    "privacy/retention": Edit(
        _at("/console/privacy/retention", lambda: None), {"inbox": "31"}, {"inbox": "32"}, 'value="32"'
    ),
    "privacy/purposes/<slug:key>": Edit(
        _at("/console/privacy/purposes/personalise", lambda: None),
        {"text": "What the first wrote."},
        {"text": "What the second wrote."},
        "What the second wrote.</textarea>",
    ),
    "destinations/<slug:slug>": Edit(
        _destination,
        {"name": "Mailer first"},
        {"purpose": "personalise"},
        'value="personalise" selected',
        ("Mailer first", "personalise"),
    ),
    "destinations/<slug:slug>/mapping": Edit(
        lambda: _destination() + "/mapping",
        {"field.0": "town", "attribute.0": "city", "transform.0": "", "constant.0": ""},
        {"field.0": "land", "attribute.0": "country", "transform.0": "", "constant.0": ""},
        'value="land"',
        ("town: city", "land: country"),
    ),
    "customers/<path:user_id>/correct": Edit(
        _correction,
        {"value": "Porto", "reason": "On the phone."},
        {"value": "Braga", "reason": "By letter."},
        'value="By letter."',
        ("Porto", "Braga"),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Create:
    """A form that makes one thing. `other` makes another one of the same name, if things of this kind have one."""

    address: str
    data: dict[str, Any]
    model: type[Model]
    made: str = ""
    other: dict[str, Any] = field(default_factory=dict)


QUESTION = {
    "text": "Which size?", "why": "To fit you.", "type": "single_choice", "attribute": "size", "key": "size",
    "purpose": "personalise", "options": "s = Small\nl = Large", "weight": "1", "locale": "en",
}  # fmt: skip
CREATES = {
    "rules/new": Create("/console/rules/new", {"name": "Greet", "script": FINE}, Rule, other={"script": FINE + " // 2"}),
    "rules/templates/<slug:key>": Create("/console/rules/templates/loyalty-tier-claim", {}, Rule),
    "connections/new": Create(
        "/console/connections/new?strategy=google-oauth2", {"client_id": "shop", "secret": "very-secret"}, Connection,
        other={"client_id": "another"},
    ),
    "applications/new": Create("/console/applications/new", {"name": "Till", "redirect_uris": "https://till.example/cb"}, App),
    "segments/new/save": Create(
        "/console/segments/new/save?for=personalise&as=text&text=city%3ABraga", {"name": "Women"}, Segment,
        other={"description": "Another"},
    ),
    "questions/new": Create("/console/questions/new", QUESTION, Question, other={"text": "Which size do you wear?"}),
    "sources/events": Create("/console/sources/events", {"name": "Till"}, Source),
    "destinations/new": Create(
        "/console/destinations/new?kind=webhook", {"name": "Mailer", "purpose": "message", **SETTINGS}, Destination,
        other={"setting.url": "https://another.example/"},
    ),
}  # fmt: skip
# They say the state that is wanted: a second press changes nothing.
SWITCHES = {
    "questions/<slug:key>/switch",
    "rules/<slug:slug>/switch",
    "connections/<slug:name>/switch",
    "sources/events/<slug:slug>/switch",
    "sources/events/<slug:slug>/proof",
    "sources/<slug:key>/switch",
    "destinations/<slug:slug>/switch",
    "theme",
}
# Neither edit nor create a thing that staff keep, each with the reason why a second press does no harm.
ACTS = {
    "customers/review/<int:number>": "a decided pair is decided",
    "customers/<path:user_id>/refusal": "a no that is recorded is not recorded again",
    "customers/<path:user_id>/restriction": "what is restricted stays so",
    "rules/order": "carries the order that it was loaded with",
    "rules/<slug:slug>/move": "carries the place that it was loaded with",
    "rules/runs/<int:number>": "shows a replay, saves nothing",
    "applications/<slug:client_id>/rotate": "the last secret counts, and is the one shown",
    "segments/<slug:slug>/delete": "what is deleted is not there",
    "segments/<slug:slug>/ask": "the same boost is set again",
    "sources/crowds/release": "what is released is released",
    "sources/events/<slug:slug>/key": "the last key counts, and is the one shown",
    "sources/events/<slug:slug>/kind": "the last key counts, and is the one shown",
    "sources/events/<slug:slug>/secret": "the last secret counts, and is the one shown",
    "sources/<slug:key>/retry": "what waits is not queued again",
    "privacy/requests/<int:number>/done": "what is done is no longer there",
    "privacy/consents/import": "known decisions are not recorded again",
    "destinations/<slug:slug>/mapping/preview": "shows, saves nothing",
    "destinations/<slug:slug>/deliveries/replay": "messages keep their ids",
    "destinations/<slug:slug>/deliveries/backfill": "messages keep their ids",
    "destinations/<slug:slug>/deliveries/resume": "what runs goes on",
    "destinations/<slug:slug>/deliveries/<int:number>/retry": "what waits is not queued again",
    "destinations/<slug:slug>/deletion-requests/retry": "what waits is not queued again",
    "destinations/<slug:slug>/deletion-requests/<int:number>/retry": "what waits is not queued again",
}  # fmt: skip


@pytest.fixture
def second(standard_setup) -> StaffBrowser:
    """Bruno's browser: here he is an admin too."""
    return browser_of(Account.objects.create_staff("bruno@shop.example", "a long password", role="admin"))


def test_every_address_that_takes_a_post_has_a_mechanism_or_a_reason():
    takes_post = {str(each.pattern) for each in urlpatterns if getattr(each.callback, "roles", ("", ""))[1]}

    assert takes_post == EDITS.keys() | CREATES.keys() | SWITCHES | ACTS.keys()
    assert len(takes_post) == len(EDITS) + len(CREATES) + len(SWITCHES) + len(ACTS)


@pytest.mark.parametrize("route", EDITS)
def test_second_save_is_refused_with_who_what_and_when_and_keeps_what_was_typed(console, second, route):
    case = EDITS[route]
    address = case.open()
    ours, theirs = console.fields(address), second.fields(address)

    saved = console.post(address, {**ours, **case.first}, bare=True)
    refused = second.post(address, {**theirs, **case.second}, bare=True)
    page = refused.content.decode()

    assert (saved.status_code, refused.status_code) == (302, 409)
    assert "This was changed by ana@shop.example at " in page
    stored, typed = (
        case.shown if any(case.shown) else (next(iter(case.first.values())), next(iter(case.second.values())))
    )
    assert f"<pre>{stored}</pre>" in page
    assert f"<pre>{typed}</pre>" in page
    assert case.kept in page.replace("&#x27;", "'")
    assert not [each for each in ("secret-of", "key-of", WEBHOOK["secret"], "4711") if each in page]
    assert AuditEntry.objects.count() == 1

    # Saving again, with the version that is now in the form, is a decision.
    again = {**fields_in(page, address, page_of(address)), **case.second}
    assert again[VERSION] != theirs[VERSION]
    assert second.post(address, again, bare=True).status_code == 302
    assert AuditEntry.objects.count() == 2


@pytest.mark.parametrize("route", EDITS)
def test_of_two_saves_at_once_one_is_refused(console, second, route):
    case = EDITS[route]
    address = case.open()
    ours, theirs = {**console.fields(address), **case.first}, {**second.fields(address), **case.second}

    statuses = at_once([console, second], address, [ours, theirs])

    assert sorted(statuses) == [302, 409]
    assert AuditEntry.objects.count() == 1


@pytest.mark.parametrize("route", EDITS)
def test_form_without_version_is_refused(console, route):
    case = EDITS[route]
    address = case.open()
    form = {name: text for name, text in console.fields(address).items() if name != VERSION}

    answer = console.post(address, {**form, **case.first}, bare=True)

    assert answer.status_code == 409
    assert "does not say which version" in answer.content.decode()
    assert not AuditEntry.objects.exists()


# A second press of these would do more: what was typed is not what the first press left.
REFUSED_AGAIN = {
    "rules/settings": "what a secret is cannot be compared",
    "privacy/purposes/<slug:key>": "translations beside a new text were dropped, and would be there again",
}


@pytest.mark.parametrize("route", EDITS)
def test_second_press_of_a_save_is_no_conflict_unless_it_would_do_more(console, route):
    case = EDITS[route]
    address = case.open()
    form = {**console.fields(address), **case.first}
    console.post(address, form, bare=True)

    assert console.post(address, form, bare=True).status_code == (409 if route in REFUSED_AGAIN else 302)


def test_change_by_the_api_is_named_as_such(console):
    address = EDITS["applications/<slug:client_id>"].open()
    form = console.fields(address)
    App.objects.update(name="Renamed elsewhere")

    page = console.post(address, {**form, "name": "Mine"}, bare=True).content.decode()

    assert "This was changed by the API or a command, after you opened it" in page


@pytest.mark.parametrize("route", CREATES)
def test_second_press_lands_on_what_the_first_made(console, route):
    case = CREATES[route]
    before = case.model._default_manager.count()
    form = {**console.fields(case.address), **case.data}

    first = console.post(case.address, form, bare=True)
    again = console.post(case.address, form, bare=True)

    assert first.status_code in (200, 302)
    assert again.status_code == 302
    assert first.status_code == 200 or first["Location"] == again["Location"]
    assert case.model._default_manager.count() == before + 1
    assert AuditEntry.objects.count() == 1
    assert "first press" in console.get(again["Location"]).content.decode()


@pytest.mark.parametrize("route", CREATES)
def test_two_presses_at_once_make_one(console, route):
    case = CREATES[route]
    before = case.model._default_manager.count()
    form = {**console.fields(case.address), **case.data}

    statuses = at_once([console, console], case.address, [form, form])

    assert set(statuses) <= {200, 302}
    assert case.model._default_manager.count() == before + 1


@pytest.mark.parametrize("route", [route for route, case in CREATES.items() if case.other])
def test_two_who_make_different_things_of_one_name_at_once_make_one(console, second, route):
    case = CREATES[route]
    before = case.model._default_manager.count()
    ours, theirs = ({**each.fields(case.address), **case.data} for each in (console, second))

    statuses = at_once([console, second], case.address, [ours, {**theirs, **case.other}])

    assert sorted(statuses) == [302, 409]
    assert case.model._default_manager.count() == before + 1


@pytest.mark.parametrize("route", [route for route, case in CREATES.items() if case.other])
def test_taken_name_is_refused_and_keeps_what_was_typed(console, second, route):
    case = CREATES[route]
    console.post(case.address, {**console.fields(case.address), **case.data}, bare=True)
    form = {**second.fields(case.address), **case.data, **case.other}

    refused = second.post(case.address, form, bare=True)

    assert refused.status_code == 409
    assert "already" in refused.content.decode()
    assert str(next(iter(case.other.values()))) in refused.content.decode().replace("&#x27;", "'")


@pytest.mark.parametrize("route", CREATES)
def test_form_without_number_makes_nothing(console, route):
    case = CREATES[route]
    before = case.model._default_manager.count()
    form = {**console.fields(case.address), **case.data, NUMBER: ""}

    assert console.post(case.address, form, bare=True).status_code == 400
    assert case.model._default_manager.count() == before


def test_used_form_with_other_content_makes_nothing_and_gets_another_number(console):
    form = {**console.fields("/console/sources/events"), "name": "Till"}
    console.post("/console/sources/events", form, bare=True)

    refused = console.post("/console/sources/events", {**form, "name": "Kiosk"}, bare=True)
    again = fields_in(refused.content.decode(), "/console/sources/events", "/console/sources")

    assert (refused.status_code, again["name"]) == (409, "Kiosk")
    assert console.post("/console/sources/events", again, bare=True).status_code == 302
    assert {each.name for each in Source.objects.all()} >= {"Till", "Kiosk"}


def test_second_press_after_a_secret_says_how_to_get_another(console):
    case = CREATES["applications/new"]
    form = {**console.fields(case.address), **case.data}
    console.post(case.address, form, bare=True)

    page = console.post(case.address, form, bare=True, follow=True).content.decode()

    assert "Its secret was shown once" in page
    assert "Make a new secret" in page


@pytest.mark.parametrize(
    ("route", "model"),
    [
        ("connections/<slug:name>", Connection),
        ("destinations/<slug:slug>", Destination),
        ("questions/<slug:key>", Question),
        ("rules/<slug:slug>", Rule),
    ],
)
@pytest.mark.parametrize("on", [True, False])
def test_old_form_does_not_switch_anything(console, route, model, on):
    case = EDITS[route]
    address = case.open()
    model._default_manager.update(enabled=not on)
    form = console.fields(address)
    model._default_manager.update(enabled=on)

    answer = console.post(address, {**form, **case.first, **({} if on else {"enabled": "on"})}, bare=True)

    assert "enabled" not in form
    assert answer.status_code == 302
    assert model._default_manager.get().enabled is on
    for _ in range(2):
        console.post(f"{address}/switch", {"on": "1"})
    assert model._default_manager.get().enabled


def test_segment_deleted_while_a_colleague_saves_it_is_not_there_again(console, second):
    case = EDITS["segments/<slug:slug>/edit/save"]
    address = case.open()
    form = {**second.fields(address), "name": "Tall people", "description": "Typed for an hour"}
    console.post("/console/segments/tall/delete", {})

    answer = second.post(address, form, bare=True)
    page = answer.content.decode()

    assert answer.status_code == 404
    assert not Segment.objects.exists()
    assert "was deleted by ana@shop.example at " in page
    assert "Typed for an hour" in page
    # What was typed can be saved as a new segment: a decision.
    new = "/console/segments/new/save"
    kept = fields_in(page, new, address)
    assert second.post(f"{new}?for=personalise&as=text&text=city%3ABraga", kept, bare=True).status_code == 302
    assert Segment.objects.get().name == "Tall people"


@pytest.mark.parametrize(
    ("route", "model"),
    [
        ("connections/<slug:name>", Connection),
        ("applications/<slug:client_id>", App),
        ("destinations/<slug:slug>", Destination),
        ("questions/<slug:key>", Question),
        ("rules/<slug:slug>", Rule),
    ],
)
def test_edit_never_creates(console, route, model):
    case = EDITS[route]
    address = case.open()
    form = {**console.fields(address), **case.second}
    model._default_manager.all().delete()

    answer = console.post(address, {**form, "secret": "typed-secret"}, bare=True)

    assert answer.status_code == 404
    assert not model._default_manager.exists()
    assert next(iter(case.second.values())) in answer.content.decode()
    assert "typed-secret" not in answer.content.decode()


def test_widened_purpose_is_not_widened_again_by_a_second_press(console):
    address = "/console/privacy/purposes/personalise"
    form = {**console.fields(address), "widened": "on", "text": "More than before."}
    console.post(address, form, bare=True)
    version = Purpose.objects.get(pk="personalise").version

    assert console.post(address, form, bare=True).status_code == 409
    assert Purpose.objects.get(pk="personalise").version == version


def test_numbers_of_sent_forms_do_not_stay(console):
    case = CREATES["sources/events"]
    console.post(case.address, {**console.fields(case.address), **case.data}, bare=True)

    assert SentForm.objects.get().address == "/console/sources"


def at_once(browsers: list[StaffBrowser], address: str, forms: list[dict[str, Any]]) -> list[int]:
    """Send the forms at the same time; return the status of each answer."""
    barrier, statuses = threading.Barrier(len(forms)), [0] * len(forms)

    def press(number: int) -> None:
        try:
            barrier.wait(timeout=30)
            browser = StaffBrowser()
            browser.cookies = browsers[number].cookies
            statuses[number] = browser.post(address, forms[number], bare=True).status_code
        finally:
            connections.close_all()

    threads = [threading.Thread(target=press, args=(number,)) for number in range(len(forms))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses
