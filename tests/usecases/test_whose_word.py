"""Attempts to open by another's word, or by an old or a wrong clock, what a customer closed."""

from __future__ import annotations

import datetime as dt

import pytest
from tests.management_api.conftest import api_client, make_token
from tests.usecases.test_import_consents import YES, row
from tests.usecases.test_public_keys import send, source
from tests.usecases.test_refusals import contact

from regulars.base import clock
from regulars.consent.models import Purpose
from regulars.consent.record import Decision
from regulars.consent.refusal_links import link_of_profile, open_link
from regulars.consent.view import may
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Attribute
from regulars.profiles.upstream_tokens import keep_token
from regulars.usecases.decide_consent import decide
from regulars.usecases.import_consents import import_consents
from regulars.usecases.refuse_consent import Refusal, refuse, refuse_by_link
from regulars.usecases.restrict import restrict
from regulars.usecases.unit_of_work import changes

__all__ = ["api_client", "send", "source"]  # fixtures
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("standard_setup")]


def prove_address(profile) -> None:
    with changes(profile, "test") as c:
        c.learn([NewFact(key, value, "verified", "google-oauth2") for key, value in
                 (("email", "chika@example.com"), ("email_verified", True))])  # fmt: skip


@pytest.mark.parametrize("way", ["link", "page"])
def test_no_counts_for_the_customer_and_the_twin_when_the_clock_was_set_back(chika, monkeypatch, way):
    prove_address(chika)
    twin, now = contact("crm-9"), clock.now
    for each in (twin, chika):
        decide(each, Decision("message", "given", "profile"))

    monkeypatch.setattr(clock, "now", lambda: now() - dt.timedelta(minutes=10))
    if way == "link":
        token = link_of_profile(chika, Purpose.objects.get(key="message")).rpartition("/")[2]
        refuse_by_link(open_link(token), "No", "en")
    else:
        decide(chika, Decision("message", "withdrawn", "profile"))
    monkeypatch.undo()

    assert not may(chika, "message")
    assert not may(twin, "message")


def test_imported_yes_opens_no_later_purpose_of_advertising_after_an_objection(chika):
    """A customer without any address: nothing is suppressed."""
    refuse(chika, Refusal("staff", "staff:x", reason="By phone."))
    Purpose.objects.create(key="letters", label="Letters", text="…", basis="consent", kind="message")
    later = (clock.now() + dt.timedelta(seconds=1)).isoformat()

    assert import_consents([row(chika, purpose="letters", at=later)], "app:bot").recorded == 1

    assert not may(chika, "letters")
    decide(chika, Decision("letters", "given", "profile"))
    assert may(chika, "letters")


def test_old_no_is_recorded_once_however_often_it_is_imported(chika):
    decide(chika, Decision("message", "given", "profile"))
    old = Refusal("import", "operator", ("message",), at=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))

    assert [len(refuse(chika, old)) for _ in range(3)] == [1, 0, 0]
    assert may(chika, "message")


def test_visitor_with_a_public_key_stops_and_takes_no_imported_yes(send, chika):
    send(userId="evil", traits={"email": "chika@example.com"})
    send(anonymousId="evil-2", traits={"email": "chika@example.com"})
    unknown = import_consents([{**YES, "email": "chika@example.com"}], "operator")
    assert [each.code for each in unknown.problems] == ["unknown_customer"]
    prove_address(chika)

    assert import_consents([{**YES, "email": "chika@example.com"}], "operator").recorded == 1
    assert may(chika, "message")


def test_api_of_facts_gives_values_for_the_purpose_of_the_grant_only(api_client, chika):
    Attribute.objects.create(key="diet", label="Diet", sensitivity="special", purposes=["message"], options=[])
    with changes(chika, "test") as c:
        yes = c.decide(Decision("message", "given", "question", explicit=True))
        c.learn(
            [
                NewFact("diet", "halal", "declared", "question:diet@1", basis="consent", consents=[yes.pk]),
                NewFact("name", "Chika", "declared", "app:crm"),
                NewFact("user_metadata.note", "x", "declared", "app:crm"),
            ]
        )

    def values() -> dict[str, object]:
        facts = api_client.get("/regulars/v1/profiles/google-oauth2%7C1001/facts")["facts"]
        return {each["attribute"]: each["value"] for each in facts}

    assert values() == {"diet": None, "name": "Chika", "user_metadata.note": "x"}
    restrict(chika, "profile")
    assert set(values().values()) == {None}


def test_restricted_customers_token_of_a_provider_leaves_to_no_application(api_client, chika):
    keep_token(chika.identities.get().pk, {"access_token": "ya29-secret"}, [])
    token = make_token("read:users read:user_idp_tokens")
    path = f"/v2/users/{chika.user_id}"
    assert "ya29-secret" in api_client.call("GET", path, token=token).content.decode()

    restrict(chika, "profile")

    assert "ya29-secret" not in api_client.call("GET", path, token=token).content.decode()
