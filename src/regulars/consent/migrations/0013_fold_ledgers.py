"""Fold every ledger into what stands of its decisions, and let facts name the first of equal ones.

A job then computes anew what may be used of whom: facts that the customer was not asked about leave segments and
destinations of purposes that need a decision.
"""

import datetime as dt
from itertools import islice

from django.db import migrations
from django.db.models import F, OuterRef, Q, Subquery
from django.utils import timezone

from regulars.consent.fold import YES, Joined, about_what, fold, step

PORTION = 500


def set_expiries(apps, schema_editor):
    """Of the decision that counts, the end that it was given is known; of earlier ones, the purpose tells it."""
    events = apps.get_model("consent", "ConsentEvent").objects.filter(action__in=YES)
    for purpose in apps.get_model("consent", "Purpose").objects.exclude(expires_days=None):
        events.filter(purpose=purpose).update(expires_at=F("at") + dt.timedelta(days=purpose.expires_days))
    states = apps.get_model("consent", "ConsentState").objects.filter(status__in=YES)
    end = Subquery(states.filter(event=OuterRef("pk")).order_by("-pk").values("expires_at")[:1])
    events.filter(pk__in=states.values("event")).update(expires_at=end)


def fold_ledgers(apps, schema_editor):
    profiles = apps.get_model("profiles", "Profile").objects
    decided = apps.get_model("consent", "ConsentEvent").objects.order_by().values("profile")
    merges = apps.get_model("profiles", "Merge").objects.filter(undone_at=None).order_by()
    part_of_another = merges.filter(source__merged_into__isnull=False).filter(
        Q(source__in=decided) | Q(source__in=merges.values("into"))
    )
    fold_portion = _Folder(apps)
    # A merged profile before the one it is part of.
    for pk in dict.fromkeys(part_of_another.order_by("pk").values_list("source", flat=True)):
        fold_portion([pk])
    rest = profiles.filter(Q(pk__in=decided) | Q(pk__in=merges.values("into")))
    rest = rest.exclude(pk__in=part_of_another.values("source"))
    numbers = rest.order_by("pk").values_list("pk", flat=True).iterator(chunk_size=PORTION)
    while portion := list(islice(numbers, PORTION)):
        fold_portion(portion)


class _Folder:
    def __init__(self, apps):
        self.events = apps.get_model("consent", "ConsentEvent").objects
        self.states = apps.get_model("consent", "ConsentState").objects
        self.state = apps.get_model("consent", "ConsentState")
        self.merges = apps.get_model("profiles", "Merge").objects.filter(undone_at=None)
        self.facts = apps.get_model("profiles", "Fact").objects
        self.folded = {}  # of merged profiles

    def __call__(self, portion):
        histories = {}
        for event in self.events.filter(profile__in=portion).order_by("id"):
            histories.setdefault((event.profile_id, event.purpose_id), []).append(event)
        joined = {}
        for source, into, at in self.merges.filter(into__in=portion).values_list("source", "into", "at"):
            for purpose, folded in self.folded.get(source, {}).items():
                joined.setdefault((into, purpose), []).append(Joined(at, folded))
        found = {key: fold(histories.get(key, ()), joined.get(key, ())) for key in histories.keys() | joined.keys()}
        if len(portion) == 1:
            self.folded[portion[0]] = {purpose: folded for (_, purpose), folded in found.items()}
        self.state.objects.bulk_create(
            [
                self.state(
                    profile_id=profile,
                    purpose_id=purpose,
                    status=each.status,
                    since=each.since,
                    as_of=each.as_of,
                    expires_at=each.next_expiry,
                    standing=[one.as_json() for one in each.standing],
                    event_id=each.event,
                )
                for (profile, purpose), each in found.items()
            ],
            batch_size=PORTION,
            update_conflicts=True,
            unique_fields=["profile", "purpose"],
            update_fields=["status", "since", "as_of", "expires_at", "standing", "event"],
        )
        self._name_first(histories)

    def _name_first(self, histories):
        first = {}
        for history in histories.values():
            folded = None
            for event in sorted(history, key=lambda each: (each.at, each.action not in YES, each.id)):
                folded = step(folded, event)
                same = (each.first for each in folded.standing if event.action in YES and each.about == about_what(event))
                first[event.id] = next(same, event.id)
        moved = []
        profiles = {profile for profile, _ in histories}
        for fact in self.facts.filter(profile__in=profiles).exclude(consents=[]).iterator(chunk_size=PORTION):
            named = sorted({first.get(number, number) for number in fact.consents})
            if named != fact.consents:
                fact.consents = named
                moved.append(fact)
        self.facts.bulk_update(moved, ["consents"], batch_size=200)


def queue(apps, schema_editor):
    if apps.get_model("profiles", "Profile").objects.exists():
        apps.get_model("jobs", "Job").objects.create(
            kind="consent.gate_changed", payload={"after": 0}, due_at=timezone.now()
        )


class Migration(migrations.Migration):
    dependencies = [("consent", "0012_folded_states"), ("profiles", "0016_folded_states"), ("jobs", "0001_initial")]

    operations = [
        migrations.RunPython(set_expiries, migrations.RunPython.noop, elidable=True),
        migrations.RunPython(fold_ledgers, migrations.RunPython.noop, elidable=True),
        migrations.RunPython(queue, migrations.RunPython.noop, elidable=True),
    ]
