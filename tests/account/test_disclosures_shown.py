"""What `/me` and the proof of an erasure say of a recipient is what that recipient did."""

from __future__ import annotations

import html

import pytest

from regulars.base import clock
from regulars.consent.models import Purpose
from regulars.destinations.kind import KINDS
from regulars.destinations.models import Destination, Disclosure
from regulars.destinations.versions import version_of
from regulars.profiles.models import Profile
from regulars.usecases.erase import erase_customer

from .conftest import PASSWORD

pytestmark = pytest.mark.usefixtures("lake")
DELETED, UNUSED = "Has deleted it", "Has confirmed that it does not use it any more"
RECEIVED = "Has received our request to delete it"
REMOVABLE = sorted(key for key, kind in KINDS.items() if kind.can_remove)
ONLY_RECEIVE = {"slack": {True, False}, "klaviyo": {True}, "segment": {True}}


@pytest.fixture
def signed_in(dina, client):
    client.post("/login", {"email": "dina@example.com", "password": PASSWORD})
    return client


def removed(dina, kind: str, *, erase: bool) -> Disclosure:
    fields = KINDS[kind].fields if kind in KINDS else ()
    destination = Destination.objects.create(
        name="Partner",
        slug=f"partner-{kind}",
        kind=kind,
        purpose=Purpose.objects.get(pk="message"),
        settings={each.key: "key-us1" if each.key == "api_key" else "" for each in fields},
    )
    return Disclosure.objects.create(
        destination=destination,
        version=version_of(destination),
        profile=Profile.objects.get(account=dina),
        state=Disclosure.State.REMOVED,
        erase=erase,
        confirmed_at=clock.now(),
    )


@pytest.mark.parametrize("erase", [True, False])
@pytest.mark.parametrize("kind", REMOVABLE)
def test_page_says_deleted_only_of_whom_was_asked_and_did(signed_in, dina, kind, erase):
    removed(dina, kind, erase=erase)
    page = html.unescape(signed_in.get("/me").content.decode())

    said = RECEIVED if erase in ONLY_RECEIVE.get(kind, ()) else DELETED if erase else UNUSED
    assert [each for each in (DELETED, UNUSED, RECEIVED) if each in page] == [said]
    assert ("confirmed on" in page) == (said != RECEIVED)


def test_plugin_that_is_gone_is_not_said_to_have_deleted(signed_in, dina):
    removed(dina, "of-a-plugin", erase=True)
    assert DELETED not in signed_in.get("/me").content.decode()


def test_proof_of_an_erasure_says_the_same(dina, client):
    for kind in ("webhook", "slack"):
        removed(dina, kind, erase=True)
    erasure = erase_customer(Profile.objects.get(account=dina), "customer")
    Disclosure.objects.update(state=Disclosure.State.REMOVED)
    page = html.unescape(client.get(f"/me/erased/{erasure.pk}").content.decode())

    assert (page.count(DELETED), page.count(RECEIVED)) == (1, 1)
