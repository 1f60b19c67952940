"""An upgrade that is broken off goes on where it was, in portions with transactions of their own."""

from __future__ import annotations

import datetime as dt
from importlib import import_module
from types import ModuleType

import pytest
from django.apps import apps
from django.db import connection

from regulars.base import clock
from regulars.consent.models import ConsentEvent, ConsentState, Purpose
from regulars.profiles.models import Fact, Merge, Profile

pytestmark = pytest.mark.django_db
CUSTOMERS = 4
UNTIL = dt.timedelta(days=300)


class BrokenOffError(Exception):
    pass


def migration(app: str, name: str) -> ModuleType:
    return import_module(f"regulars.{app}.migrations.{name}")


def ledgers_of_before() -> list[Profile]:
    """Customers with two equal consents to a purpose, the second of them in the state, and a fact that names it."""
    purpose = Purpose.objects.create(key="jokes", label="Jokes", basis="consent", expires_days=365)
    profiles = [Profile.objects.create(user_id=f"auth0|{number}") for number in range(CUSTOMERS)]
    for profile in profiles:
        at = clock.now() - dt.timedelta(days=30)
        events = [
            ConsentEvent.objects.create(
                profile=profile,
                purpose=purpose,
                purpose_version=1,
                action="given",
                method="profile",
                hash="0" * 64,
                at=at,
            )
            for at in (at, at + dt.timedelta(days=1))
        ]
        last = events[-1]
        ConsentState.objects.create(
            profile=profile, purpose=purpose, status="given", since=last.at, event=last, expires_at=last.at + UNTIL
        )
        Fact.objects.create(profile=profile, attribute="taste", value="dry", consents=[last.pk], source="customer")
    return profiles


def fold(module: ModuleType) -> None:
    with connection.schema_editor(atomic=False) as editor:
        module.set_expiries(apps, editor)
        module.fold_ledgers(apps, editor)
        module.mark_due(apps, editor)


def found_in(profiles: list[Profile]) -> list[tuple[object, ...]]:
    states = ConsentState.objects.filter(profile__in=profiles).order_by("pk")
    ends = ConsentEvent.objects.filter(profile__in=profiles).order_by("pk").values_list("expires_at", flat=True)
    named = Fact.objects.filter(profile__in=profiles).order_by("pk").values_list("consents", flat=True)
    return [*states.values_list("status", "event", "expires_at", "standing"), tuple(ends), tuple(map(tuple, named))]


@pytest.mark.django_db(transaction=True)
def test_fold_that_was_broken_off_goes_on(standard_setup, monkeypatch):
    module = migration("consent", "0013_fold_ledgers")
    monkeypatch.setattr(module, "PORTION", 1)
    profiles = ledgers_of_before()
    whole, portions = module._Folder._fold, []

    def breaks_off(self, portion):
        portions.append(portion)
        whole(self, portion)
        if len(portions) == 3:
            raise BrokenOffError

    monkeypatch.setattr(module._Folder, "_fold", breaks_off)
    with pytest.raises(BrokenOffError):
        fold(module)
    assert [bool(each.standing) for each in ConsentState.objects.order_by("pk")] == [True, True, False, False]
    fold(module)

    assert portions == [[each.pk] for each in (*profiles[:3], *profiles[2:])]
    after = found_in(profiles)
    for profile, (status, last, expires_at, standing) in zip(profiles, after, strict=False):
        first, repeated = ConsentEvent.objects.filter(profile=profile).order_by("pk")
        assert (status, last, expires_at) == ("given", repeated.pk, repeated.at + UNTIL)
        assert [(each["first"], each["last"]) for each in standing] == [(first.pk, repeated.pk)]
        assert Fact.objects.get(profile=profile).consents == [first.pk]
        assert Profile.objects.get(pk=profile.pk).changes_at <= clock.now()
    fold(module)
    assert found_in(profiles) == after


def test_merged_customers_fold_before_the_one_they_belong_to(standard_setup):
    module = migration("consent", "0013_fold_ledgers")
    stays, part, *_ = ledgers_of_before()
    Profile.objects.filter(pk=part.pk).update(merged_into=stays)
    Merge.objects.create(source=part, into=stays, why="visitor")
    module.fold_ledgers(apps, connection.schema_editor())

    joined = {each["first"] for each in ConsentState.objects.get(profile=stays).standing}
    assert joined == {ConsentEvent.objects.filter(profile=each).earliest("pk").pk for each in (stays, part)}


def test_contacts_of_stored_facts_are_written_in_portions(standard_setup, monkeypatch):
    module = migration("profiles", "0013_fill_contacts")
    monkeypatch.setattr(module, "PORTION", 2)
    profile = Profile.objects.create(user_id="auth0|chika")
    for number in range(5):
        Fact.objects.create(
            profile=profile, attribute="email", value=f"Chika{number}@Example.com", source=f"app:{number}"
        )
    Fact.objects.create(profile=profile, attribute="name", value="Chika", source="customer")
    Fact.objects.update(contact=None)
    module.fill(apps, connection.schema_editor())

    contacts = Fact.objects.order_by("pk").values_list("contact", flat=True)
    assert list(contacts) == [*(module.contact_of("email", f"chika{number}@example.com") for number in range(5)), None]


def test_customers_who_allow_a_purpose_are_recomputed_once_events_need_all_of_it(standard_setup, monkeypatch):
    module = migration("consent", "0018_events_need_all")
    monkeypatch.setattr(module, "PORTION", 2)
    allowing = ledgers_of_before()
    refusing = Profile.objects.create(user_id="auth0|refuses")
    ConsentState.objects.create(
        profile=refusing,
        purpose_id="jokes",
        status="refused",
        since=clock.now(),
        event=ConsentEvent.objects.earliest("pk"),
    )
    later = clock.now() + UNTIL
    Profile.objects.update(changes_at=later)
    module.mark_due(apps, connection.schema_editor())

    due = set(Profile.objects.filter(changes_at__lte=clock.now()).values_list("pk", flat=True))
    assert due == {profile.pk for profile in allowing}
