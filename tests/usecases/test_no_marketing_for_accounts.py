"""A purpose that customers cannot refuse serves no segment, export or destination; one about groups sends no row outside."""

from __future__ import annotations

import pytest

from regulars.base import clock
from regulars.base.errors import DomainError
from regulars.consent.models import Purpose
from regulars.destinations.deliver import deliver
from regulars.destinations.message import preview_message
from regulars.destinations.models import Delivery, Destination, Disclosure
from regulars.destinations.queue import MembershipChange, queue_changes
from regulars.destinations.save import save_destination, switch_destination
from regulars.destinations.versions import version_of
from regulars.segments.count import count
from regulars.segments.export_members import lines
from regulars.segments.members import members
from regulars.segments.models import Membership, Segment
from regulars.segments.save import save_segment
from regulars.usecases.deliver import segment_purposes
from regulars.usecases.save_segment import evaluate_saved, reconcile
from regulars.usecases.unit_of_work import changes

FILE = {"file": "a.csv"}


def entered(slug: str) -> MembershipChange:
    return MembershipChange(slug, slug.capitalize(), entered=True, at=clock.now())


@pytest.fixture
def hook(standard_setup, settings, tmp_path):
    """A file as a destination, saved for messages."""
    settings.HOME = tmp_path
    save_segment("Jackets", "country:PT", "message", slug="jackets")
    return save_destination("Files", "csv", FILE, purpose="message", segment_slugs=["jackets"])


@pytest.mark.parametrize("basis_of", ["serve", "own"])
def test_contract_is_refused_for_segments_and_destinations(standard_setup, basis_of):
    Purpose.objects.create(key="own", label="Own", text="Own.", basis="contract", kind="personalise")

    for act in (
        lambda: save_segment("Everybody", "*", basis_of),
        lambda: count("*", basis_of),
        lambda: save_destination("Files", "csv", FILE, purpose=basis_of, segment_slugs=[]),
    ):
        with pytest.raises(DomainError) as refused:
            act()
        assert (refused.value.code, refused.value.field) == ("purpose_serves_account", "purpose")
    assert not Segment.objects.exists()
    assert not Destination.objects.exists()


def test_change_to_a_purpose_for_accounts_is_refused_and_changes_nothing(hook):
    with pytest.raises(DomainError):
        save_segment("Jackets", "*", "serve", slug="jackets")
    with pytest.raises(DomainError):
        save_destination("Moved", "csv", FILE, purpose="measure", segment_slugs=[], destination=hook)

    hook.refresh_from_db()
    assert (hook.name, hook.purpose_id, Segment.objects.get().text) == ("Files", "message", "country:PT")


def test_group_purpose_is_a_segments_and_no_destinations(standard_setup):
    assert save_segment("Big", "*", "measure").purpose_id == "measure"
    with pytest.raises(DomainError) as refused:
        save_destination("Files", "csv", FILE, purpose="measure", segment_slugs=[])

    assert refused.value.code == "purpose_is_for_groups"


@pytest.mark.parametrize("stored", ["serve", "measure"])
def test_stored_destination_is_stopped_with_its_reason(hook, make_customer, stored):
    """As an earlier version saved it: a customer who refused everything was sent with e-mail, gender and birthdate."""
    customer = make_customer(yes=(), country="PT", gender="female", email="chika@example.com")
    Destination.objects.update(purpose=stored)
    hook.refresh_from_db()
    code = {"serve": "purpose_serves_account", "measure": "purpose_is_for_groups"}[stored]
    [delivery] = queue_changes(customer, [entered("jackets")])
    deliver(delivery, {"jackets": "message"})

    delivery.refresh_from_db()
    assert (delivery.state, delivery.error) == (Delivery.State.DROPPED, code)
    assert not Disclosure.objects.exists()
    assert "choose another" in preview_message(hook, customer, segment_purposes()).refused
    with pytest.raises(DomainError) as refused:
        switch_destination(hook.slug, True)
    assert refused.value.code == code
    assert switch_destination(hook.slug, False).enabled is False


def test_segment_about_groups_names_no_one_to_a_destination(hook, make_customer):
    customer = make_customer(yes=("message",), country="PT", email="chika@example.com")
    Segment.objects.update(purpose="measure")
    [delivery] = queue_changes(customer, [entered("jackets")])
    deliver(delivery, segment_purposes())

    delivery.refresh_from_db()
    assert (delivery.state, delivery.error) == (Delivery.State.DROPPED, "purpose_is_for_groups")


def test_stored_segment_for_accounts_has_no_members(hook, make_customer):
    """Also where another segment refers to it, and before any job has run."""
    customer = make_customer(yes=("message", "share"), country="PT")
    segment = Segment.objects.get()
    evaluate_saved(segment)
    outer = save_segment("Outer", 'segment:"jackets"', "share")
    evaluate_saved(outer)
    assert Membership.objects.filter(profile=customer, state="in").count() == 2

    Segment.objects.filter(slug="jackets").update(purpose="serve")
    segment = Segment.objects.get(slug="jackets")
    assert members(segment) == []
    with pytest.raises(DomainError):
        list(lines(segment, ["user_id"]))
    for slug in ("jackets", "outer"):
        reconcile({"segment": slug})
    assert not Membership.objects.filter(profile=customer, state="in").exists()
    with changes(customer, "test") as c:
        c.refresh()
    assert not Membership.objects.filter(profile=customer, state="in").exists()


def test_sent_by_a_stopped_destination_is_asked_to_be_deleted(hook, make_customer):
    customer = make_customer(yes=("message",), country="PT", email="chika@example.com")
    Destination.objects.update(purpose="serve")
    hook.refresh_from_db()
    version = version_of(hook)
    row = Disclosure.objects.create(destination=hook, version=version, profile=customer, state=Disclosure.State.SENT)
    with changes(customer, "test") as c:
        c.refresh()

    row.refresh_from_db()
    assert row.state == Disclosure.State.REMOVING
