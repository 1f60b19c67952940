"""The customer's page: facts and corrections, consent, export and erasure."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from pathlib import Path

import pytest
from django.test import Client
from jsonschema import Draft202012Validator

import regulars.usecases.export as export_module
from regulars.accounts.models import Account
from regulars.consent.models import ConsentEvent, Erasure, Purpose
from regulars.consent.purposes import WHOLE, PurposeText, words_in
from regulars.consent.record import Decision
from regulars.consent.view import uses_of_events, view
from regulars.profiles.learn import NewFact, learn
from regulars.profiles.models import Attribute, Profile
from regulars.usecases.decide_consent import change_purpose, decide
from regulars.usecases.unit_of_work import changes

from .conftest import PASSWORD

pytestmark = pytest.mark.usefixtures("lake")
# Disables buttons while a form is being sent; pages work without it.
FORMS = '<script src="/static/pages/forms.js" defer>'


@pytest.fixture
def profile(dina):
    """Dina's profile, with a gender from Google, an enriched city and an inferred nickname."""
    profile = Profile.objects.get(account=dina)
    learn(
        profile,
        [
            NewFact("gender", "female", "social", "google-oauth2"),
            NewFact("city", "Porto", "enriched", "source:fullcontact", confidence=0.6),
            NewFact("nickname", "Didi", "inferred", "rule:nick", confidence=0.4),
        ],
    )
    return profile


@pytest.fixture
def signed_in(profile, client):
    client.post("/login", {"email": "dina@example.com", "password": PASSWORD})
    return client


def text(answer) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def seen(client, purpose) -> str:
    return field(client, purpose, "seen")


def press(client, purpose, action, number=None):
    form = {"action": action, "seen": number or seen(client, purpose), "notice": field(client, purpose, "notice")}
    return client.post(f"/me/purposes/{purpose}", form)


def field(client, purpose, name) -> str:
    """Return a hidden field of the purpose's form; empty where the page has no form for it."""
    html = client.get("/me").content.decode()
    found = re.search(rf'action="/me/purposes/{purpose}">.*?name="{name}" value="(\w+)"', html, re.DOTALL)
    return found[1] if found else ""


def test_page_without_a_session_redirects_to_the_login(profile, client):
    answer = client.get("/me")

    assert (answer.status_code, answer["Location"]) == (302, "/login?next=%2Fme")


def test_staff_have_no_customer_page(passwords, client):
    client.force_login(Account.objects.create_staff("bruno@example.com", PASSWORD))

    assert client.get("/me").status_code == 302


def test_page_lists_every_fact_with_source_and_date(signed_in):
    page = text(signed_in.get("/me"))

    assert "Gender Woman Google" in page
    assert "City Porto Looked up at “FullContact”" in page
    assert "60 % certain" in page
    assert "You, when you signed up" in page


def test_correction_by_the_customer_outranks_every_source(signed_in, profile):
    address = "/me/facts/correct?attribute=city"
    assert "Looked up at" in text(signed_in.get(address))

    signed_in.post(address, {"value": "Lisboa", "reason": "I moved."})

    fact = profile.facts.get(source_kind="corrected")
    assert (fact.value, fact.source, fact.reason) == ("Lisboa", "customer", "I moved.")
    assert view(profile, "serve")["city"].value == "Lisboa"
    assert "Reason: I moved." in text(signed_in.get("/me"))


@pytest.mark.parametrize(("attribute", "value"), [("gender", "queen"), ("city", ""), ("city", "x" * 501)])
def test_invalid_value_shows_an_error_beside_the_field(signed_in, profile, attribute, value):
    answer = signed_in.post(f"/me/facts/correct?attribute={attribute}", {"value": value})

    assert answer.status_code == 400
    assert 'role="alert"' in answer.content.decode()
    assert f"{attribute} has" not in answer.content.decode(), "a key is no word for a customer"
    assert not profile.facts.filter(source_kind="corrected").exists()


@pytest.mark.parametrize("attribute", ["email", "email_verified", "nonsense", "\x00"])
def test_attribute_verified_by_mail_cannot_be_typed(signed_in, attribute):
    assert signed_in.post("/me/facts/correct", {"value": "x"}, QUERY_STRING=f"attribute={attribute}").status_code == 404


@pytest.mark.parametrize("attribute", ["role", "app_metadata.suspended"])
def test_app_metadata_is_shown_but_neither_changed_nor_deleted(signed_in, profile, attribute):
    Attribute.objects.create(key="role", label="Role", purposes=["serve"], metadata_path="app_metadata.role")
    learn(
        profile,
        [
            NewFact("app_metadata.role", "guest", "declared", "app:shop"),
            NewFact("app_metadata.suspended", True, "declared", "app:shop"),
        ],
    )
    page = signed_in.get("/me").content.decode()
    signed_in.post(f"/me/facts/correct?attribute={attribute}", {"value": "admin"})
    signed_in.post("/me/facts/remove", {"attribute": attribute})
    profile.refresh_from_db()

    assert "Suspended" in page
    assert f'name="attribute" value="{attribute}"' not in page
    assert profile.document["app_metadata"] == {"role": "guest", "suspended": True}


def test_deleted_fact_returns_only_by_the_customers_own_answer(signed_in, profile):
    signed_in.post("/me/facts/remove", {"attribute": "gender"})
    learn(profile, [NewFact("gender", "female", "social", "google-oauth2")])
    assert "gender" not in view(profile, "serve")

    learn(profile, [NewFact("gender", "female", "declared", "question:gender@1")])

    assert view(profile, "serve")["gender"].source == "question:gender@1"


def test_consent_records_the_notice_shown_and_can_be_withdrawn(signed_in, profile):
    press(signed_in, "personalise", "give")
    assert view(profile, "personalise")["gender"].value == "female"
    given = ConsentEvent.objects.get(action="given")
    assert given.notice.body == f"A shop that fits you\nTo show you things that fit you. {WHOLE}"
    assert "On: you said yes" in text(signed_in.get("/me"))

    press(signed_in, "personalise", "withdraw")

    assert view(profile, "personalise") == {}
    assert "Off: you took your yes back" in text(signed_in.get("/me"))


def test_yes_to_single_attributes_is_shown_as_one_and_can_be_extended_to_all(signed_in, profile):
    with changes(profile, "test") as c:
        c.decide(Decision("personalise", "given", "login", pieces=("gender",)))

    page = text(signed_in.get("/me"))
    assert "On for single things that you shared or answered, not for all of it" in page
    assert WHOLE in page
    assert not uses_of_events([profile], "personalise")[profile.pk].sent
    assert press(signed_in, "personalise", "give").status_code == 302

    assert "On: you said yes" in text(signed_in.get("/me"))
    assert uses_of_events([profile], "personalise")[profile.pk].sent
    assert b"Allow all of it" not in signed_in.get("/me").content
    press(signed_in, "personalise", "withdraw")
    assert not profile.consent_states.get(purpose="personalise").standing


def test_outdated_form_sent_again_changes_nothing(signed_in, profile):
    old = seen(signed_in, "personalise")
    press(signed_in, "personalise", "give", old)
    press(signed_in, "personalise", "withdraw")

    answer = press(signed_in, "personalise", "give", old)

    assert answer.status_code == 409
    assert "decided already" in text(answer)
    assert view(profile, "personalise") == {}


@pytest.mark.parametrize(
    ("purpose", "action", "number", "status"),
    [
        ("serve", "withdraw", "0", 409),
        ("measure", "give", "0", 409),
        ("nothing", "give", "0", 409),
        ("personalise", "steal", "0", 400),
        ("personalise", "give", "-1", 400),
        ("personalise", "give", "9" * 40, 400),
        ("personalise", "give", "²", 400),
    ],
)
def test_invalid_decision_is_refused(signed_in, profile, purpose, action, number, status):
    answer = press(signed_in, purpose, action, number)

    assert answer.status_code == status
    assert "'nothing'" not in answer.content.decode()
    assert not profile.consent_events.exists()


def reworded(text):
    change_purpose("personalise", PurposeText("A shop that fits you", text), widened=False)


def test_yes_to_a_notice_reworded_meanwhile_takes_nothing_and_shows_the_new_words(signed_in, profile):
    form = {name: field(signed_in, "personalise", name) for name in ("seen", "notice")}
    reworded("To show you things that fit you, and to sell it.")

    answer = signed_in.post("/me/purposes/personalise", {"action": "give", **form})

    assert (answer.status_code, profile.consent_events.count()) == (409, 0)
    page = text(answer)
    assert "This changed since you opened the page. Please read it again." in page
    assert "and to sell it" in page
    again = re.search(
        r'action="/me/purposes/personalise">.*?name="notice" value="(\w+)"', answer.content.decode(), re.S
    )
    assert signed_in.post("/me/purposes/personalise", {"action": "give", **form, "notice": again[1]}).status_code == 302
    yes = profile.consent_events.get()
    assert (yes.purpose_version, "and to sell it." in yes.notice.body) == (2, True)


def test_a_no_counts_on_an_old_page_with_the_words_of_that_page(signed_in, profile):
    press(signed_in, "personalise", "give")
    form = {name: field(signed_in, "personalise", name) for name in ("seen", "notice")}
    reworded("To show you things that fit you, and to sell it.")

    assert signed_in.post("/me/purposes/personalise", {"action": "withdraw", **form}).status_code == 302

    no = profile.consent_events.latest("pk")
    assert (no.action, no.purpose_version, "sell" in no.notice.body) == ("withdrawn", 1, False)


def test_decision_has_the_language_of_its_page_and_not_that_of_another_tab(signed_in, profile):
    german = signed_in.get("/me?language=de").content.decode()
    form = dict(re.findall(r'name="(seen|notice)" value="(\w+)"', german.partition('/purposes/personalise">')[2])[:2])
    signed_in.get("/me?language=fr")

    signed_in.post("/me/purposes/personalise", {"action": "give", **form})

    yes = profile.consent_events.get()
    assert (yes.notice.locale, yes.notice.body.splitlines()[1] in german) == ("de", True)


@pytest.mark.parametrize("notice", ["", "0" * 64, "another purpose's"])
def test_yes_without_the_notice_of_the_page_takes_nothing(signed_in, profile, notice):
    another = {"another purpose's": field(signed_in, "message", "notice")}
    form = {"action": "give", "seen": "0", "notice": another.get(notice, notice)}

    assert signed_in.post("/me/purposes/personalise", form).status_code == 409
    assert not profile.consent_events.exists()


def test_objection_to_a_legitimate_interest_can_be_lifted(signed_in, profile):
    learn(profile, [NewFact("country", "PT", "observed", "app:shop", basis="legitimate_interest", purpose="measure")])
    press(signed_in, "measure", "object")
    assert view(profile, "measure") == {}

    press(signed_in, "measure", "lift")

    assert "country" in view(profile, "measure")


def test_purpose_is_shown_in_the_customers_language(signed_in):
    words = {"pt": {"label": "Uma loja à sua medida", "text": "Para lhe mostrar o que lhe serve."}}
    Purpose.objects.filter(key="personalise").update(translations=words)

    page = signed_in.get("/me?language=pt-br").content.decode()

    assert '<p lang="pt">Para lhe mostrar o que lhe serve. Um sim para tudo abrange' in page


def test_built_in_labels_are_translated_and_labels_of_the_business_are_not(signed_in, profile):
    Attribute.objects.create(key="shoe", label="Shoe size", purposes=["serve"])
    Attribute.objects.filter(key="country").update(label="Where you live", translations={})
    news = {"gender": "female", "shoe": 42, "country": "PT"}
    learn(profile, [NewFact(key, value, "declared", "app:shop") for key, value in news.items()])
    learn(profile, [NewFact("area_median_income", 50_000, "inferred", "source:us-areas")])
    german = signed_in.get("/me?language=de").content.decode()
    english = signed_in.get("/me?language=en").content.decode()

    for words in (">Geschlecht<", ">Frau<", ">Shoe size<", ">Where you live<", "Haushaltseinkommen Ihrer Gegend"):
        assert words in german
    assert "Median household income of your area" in english
    assert "of their area" not in english
    assert "Land Ihres" not in german


def test_uses_of_a_fact_are_shown_in_the_language_of_the_page(signed_in, profile):
    learn(profile, [NewFact("gender", "female", "declared", "app:shop")])
    page = signed_in.get("/me?language=pt-br").content.decode()
    wording = words_in(Purpose.objects.get(key="personalise"), "pt-BR")

    assert wording[0] != "en"
    assert wording[1] in re.search(r"Gênero.*?</li>", page, re.DOTALL)[0]


def test_export_matches_its_schema_and_has_inferred_and_superseded_facts(signed_in, profile):
    decide(profile, Decision("personalise", "given", "login"))
    learn(profile, [NewFact("city", "Lisboa", "declared", "app:shop")])

    data = json.loads(signed_in.get("/me/data.json").getvalue())

    schema = json.loads(Path(export_module.__file__).with_name("export.schema.json").read_text())
    Draft202012Validator(schema).validate(data)
    cities = {fact["source"]: fact["why_not"] for fact in data["facts"] if fact["attribute"] == "city"}
    assert cities == {"app:shop": "", "source:fullcontact": "another_wins"}
    assert any(fact["source_kind"] == "inferred" and fact["logic"] for fact in data["facts"])
    assert data["decisions"][0]["status"] == "dpv:ConsentGiven"
    assert "argon2" not in json.dumps(data)


def test_data_page_shows_the_content_of_the_export(signed_in):
    page = text(signed_in.get("/me/data"))

    assert "City Porto Looked up at" in page
    assert "Concluded from other things we know" in page


def test_portable_export_has_no_inferred_or_enriched_facts(signed_in):
    rows = list(csv.DictReader(io.StringIO(signed_in.get("/me/portable.csv").getvalue().decode())))

    names = {row["name"] for row in rows}
    assert {"gender", "email", "Signed Up"} <= names
    assert not {"city", "nickname"} & names


@pytest.mark.parametrize("address", ["/me/data", "/me/data.json", "/me/portable.csv", "/me/erase"])
def test_sensitive_pages_require_a_recent_login(signed_in, address):
    session = signed_in.session
    for record in session["account_authentication_methods"]:
        record["at"] = time.time() - 3600
    session.save()

    answer = signed_in.get(address)

    assert answer.status_code == 302
    assert answer["Location"].startswith("/login?next=%2Fme")
    assert answer["Location"].endswith("&prompt=login")


def test_erasure_needs_confirmation_and_deletes_everything(signed_in, profile):
    assert signed_in.post("/me/erase").status_code == 400
    assert Profile.objects.filter(pk=profile.pk).exists()

    done = signed_in.post("/me/erase", {"understood": "1"})

    assert not Profile.objects.filter(pk=profile.pk).exists()
    assert not Account.objects.filter(email="dina@example.com").exists()
    assert signed_in.get("/me").status_code == 302
    proof = text(Client().get(done["Location"]))
    assert re.search(r"What we knew about you \d+ 0", proof)
    assert "dina" not in proof
    assert Erasure.objects.get().asked_by == "customer"


def test_page_needs_no_script_and_loads_no_external_resource(signed_in):
    answer = signed_in.get("/me")

    assert re.findall("<script[^>]*>", answer.content.decode()) == [FORMS]
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    assert answer["Cache-Control"].startswith("max-age=0")


def test_gpc_signal_of_a_browser_is_recorded_once(signed_in, profile):
    for _ in range(3):
        signed_in.get("/me", headers={"Sec-GPC": "1"})

    assert [event.purpose_id for event in profile.consent_events.filter(action="gpc")] == ["share"]
    assert "Off: your browser said" in text(signed_in.get("/me"))
    assert signed_in.get("/.well-known/gpc.json").json()["gpc"] is True


def test_gpc_signal_is_recorded_at_login(profile, client):
    client.post("/login", {"email": "dina@example.com", "password": PASSWORD}, headers={"Sec-GPC": "1"})

    assert profile.consent_events.get().action == "gpc"
