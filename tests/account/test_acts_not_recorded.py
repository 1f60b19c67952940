"""An act that the journal cannot take is refused as a whole, and the page says so: nothing is done that a restore would undo."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from tests.account.conftest import PASSWORD

from regulars.consent.journal import journal_path
from regulars.consent.models import ConsentEvent, JournalEntry, Purpose, Restriction
from regulars.consent.record import Decision
from regulars.consent.refusal_links import link_of_profile
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Profile
from regulars.usecases.restrict import restrict
from regulars.usecases.unit_of_work import changes

pytestmark = pytest.mark.usefixtures("lake")


@pytest.fixture
def profile(dina):
    profile = Profile.objects.get(account=dina)
    with changes(profile, "test") as c:
        yes = c.decide(Decision("personalise", "given", "profile"))
        c.learn([NewFact("gender", "female", "declared", "question:gender@1", consents=[yes.pk])])
    return profile


@pytest.fixture
def signed_in(profile, client):
    client.post("/login", {"email": "dina@example.com", "password": PASSWORD})
    return client


@pytest.fixture
def full(settings, tmp_path):
    """No line can be written in the home folder."""
    settings.HOME = tmp_path / "home"
    settings.HOME.mkdir()

    def fill() -> None:
        journal_path().unlink(missing_ok=True)
        journal_path().mkdir()

    return fill


def everything() -> tuple:
    return (
        list(ConsentEvent.objects.values_list("pk", "action")),
        list(Profile.objects.values_list("document", "restricted_at")),
        list(Restriction.objects.values_list("lifted_at")),
        JournalEntry.objects.count(),
    )


def withdrawal(client) -> dict[str, str]:
    html = client.get("/me").content.decode()
    form = re.search(r'action="/me/purposes/personalise">.*?</form>', html, re.DOTALL)[0]
    hidden = dict(re.findall(r'name="(seen|notice)" value="(\w+)"', form))
    return {"action": "withdraw", **hidden}


ACTS = {
    "/me/purposes/personalise": withdrawal,
    "/me/advertising": lambda client: {},
    "/me/restriction": lambda client: {"action": "restrict"},
    "/me/facts/correct?attribute=gender": lambda client: {"value": "male", "reason": ""},
    "/me/facts/remove": lambda client: {"attribute": "gender"},
}


@pytest.mark.parametrize("address", ACTS)
def test_act_on_the_own_page_is_refused_and_done_once_it_can_be_recorded(signed_in, full, address):
    form = ACTS[address](signed_in)
    full()
    before = everything()

    answer = signed_in.post(address, form)

    assert answer.status_code == 503
    assert "was not recorded" in answer.content.decode()
    assert everything() == before
    journal_path().rmdir()
    assert signed_in.post(address, form).status_code == 302
    assert everything() != before


@pytest.mark.parametrize("form", [{"say": "no"}, {"List-Unsubscribe": "One-Click"}])
def test_link_without_signing_in_is_refused_and_holds_later(profile, full, form):
    link = link_of_profile(profile, Purpose.objects.get(key="personalise"))
    path = link[link.index("/unsubscribe/") :]
    full()

    assert Client().post(path, form).status_code == 503
    assert not profile.consent_events.filter(action="withdrawn").exists()

    journal_path().rmdir()
    assert Client().post(path, form).status_code == 200
    assert profile.consent_events.filter(action="withdrawn").exists()


def test_signal_of_a_browser_that_cannot_be_recorded_stops_no_page_and_is_taken_with_the_next(signed_in, full):
    full()
    assert signed_in.get("/me", headers={"Sec-GPC": "1"}).status_code == 200
    assert not ConsentEvent.objects.filter(action="gpc").exists()

    journal_path().rmdir()
    signed_in.get("/me", headers={"Sec-GPC": "1"})
    assert ConsentEvent.objects.filter(action="gpc").exists()


def test_sign_in_that_decides_nothing_goes_on(profile, full, client):
    full()

    assert client.post("/login", {"email": "dina@example.com", "password": PASSWORD}).status_code == 302


def test_customer_who_is_restricted_lifts_it_although_nothing_can_be_recorded(signed_in, profile, full):
    """A lifting is no entry: a restored backup keeps the restriction, and asks for it again."""
    restrict(profile, "profile")
    full()

    assert signed_in.post("/me/restriction", {"action": "lift"}).status_code == 302
