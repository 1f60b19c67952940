"""An objection to any advertising closes every purpose that is used for it, with the profiling for it."""

from __future__ import annotations

import pytest
from django.utils.translation import override

from regulars.base.jobs.run_jobs import run_due
from regulars.consent.models import ConsentState, PermittedView, Purpose
from regulars.consent.purposes import PurposeText
from regulars.consent.record import Decision
from regulars.consent.view import may
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Profile
from regulars.usecases.decide_consent import change_purpose, decide
from regulars.usecases.unit_of_work import changes

from .conftest import PASSWORD

pytestmark = pytest.mark.usefixtures("lake")
ADVERTISING = {"personalise", "message", "enrich", "share"}


@pytest.fixture
def profile(dina) -> Profile:
    found = Profile.objects.get(account=dina)
    for purpose in ("personalise", "message", "share"):
        decide(found, Decision(purpose, "given", "profile"))
    return found


@pytest.fixture
def signed_in(profile, client):
    client.post("/login", {"email": "dina@example.com", "password": PASSWORD})
    return client


def test_objection_closes_every_advertising_purpose(signed_in, profile):
    post = Purpose.objects.create(
        key="post", label="Post", text="Letters.", basis="legitimate_interest", kind="message"
    )
    assert "Object to any advertising" in signed_in.get("/me").content.decode()
    assert may(profile, "post")
    answer = signed_in.post("/me/advertising", follow=True)

    assert "You objected to any advertising." in answer.content.decode()
    objected = ConsentState.objects.filter(profile=profile, status="objected")
    assert set(objected.values_list("purpose_id", flat=True)) == ADVERTISING | {post.key}
    assert [key for key in (*ADVERTISING, "post") if may(profile, key)] == []
    assert may(profile, "serve")
    assert may(profile, "measure")
    assert 'action="/me/advertising"' not in answer.content.decode()


def test_objection_needs_no_yes_before(client, dina):
    client.post("/login", {"email": "dina@example.com", "password": PASSWORD})
    client.post("/me/advertising")
    assert ConsentState.objects.filter(profile__account=dina, status="objected").count() == len(ADVERTISING)


def test_what_the_customer_allows_afterwards_is_open_alone(signed_in, profile):
    signed_in.post("/me/advertising")
    decide(profile, Decision("message", "given", "profile"))
    assert [key for key in sorted(ADVERTISING) if may(profile, key)] == ["message"]


def test_purpose_that_becomes_advertising_is_closed_for_those_who_objected(signed_in, profile):
    signed_in.post("/me/advertising")
    with changes(profile, "test") as c:
        c.learn([NewFact("country", "PT", "declared", "test", purpose="measure", basis="legitimate_interest")])
    assert PermittedView.objects.get(profile=profile, purpose="measure").traits["country"] == "PT"
    words = PurposeText("Counting", "To count you, and to advertise.")
    change_purpose("measure", words, widened=False, direct_marketing=True)
    assert not may(profile, "measure")
    run_due()
    assert PermittedView.objects.get(profile=profile, purpose="measure").traits == {}


@pytest.mark.parametrize("language", ["de", "es", "fr", "pt-br", "ja", "ar"])
def test_every_language_says_what_the_objection_closes(signed_in, language):
    with override(language):
        page = signed_in.get(f"/me?ui_locales={language}").content.decode()
    assert "You may object to any advertising" not in page
    assert 'action="/me/advertising"' in page


def test_staff_decide_which_purposes_are_advertising(profile, client, django_user_model):
    change_purpose("measure", PurposeText("Counting", "To count."), widened=False, direct_marketing=True)
    assert Purpose.objects.get(key="measure").is_direct_marketing
    change_purpose("measure", PurposeText("Counting", "To count."), widened=False)
    assert Purpose.objects.get(key="measure").is_direct_marketing


def test_what_the_contract_needs_is_never_advertising():
    assert not Purpose(key="x", basis="contract", kind="message", direct_marketing=True).is_direct_marketing
