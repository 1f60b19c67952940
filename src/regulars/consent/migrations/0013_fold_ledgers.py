"""Fold every ledger into what stands of its decisions, and let facts name the first of equal ones.

Each portion is a transaction of its own. Broken off and run again, it goes on where it was: a customer is folded as a whole,
and only folded states have decisions that stand. The worker then computes anew what may be used of whom: facts that the
customer was not asked about leave segments and destinations of purposes that need a decision.
"""

import datetime as dt

from django.db import migrations, transaction
from django.db.models import Exists, F, OuterRef, Q, Subquery
from django.utils import timezone

from regulars.consent.fold import YES, Joined, about_what, fold, step

PORTION = 500
READ = ("id", "profile_id", "purpose_id", "action", "at", "purpose_version", "notice_id", "explicit", "method", "evidence", "expires_at")


def set_expiries(apps, schema_editor):
    """Of the decision that counts, the end that it was given is known; of earlier ones, the purpose tells it."""
    if apps.get_model("consent", "ConsentState").objects.exclude(standing=[]).exists():
        return  # a run before this one did it: the states that it folded have the end of another decision
    with transaction.atomic(schema_editor.connection.alias):
        _set_expiries(apps)


def _set_expiries(apps):
    events = apps.get_model("consent", "ConsentEvent").objects.filter(action__in=YES)
    for purpose in apps.get_model("consent", "Purpose").objects.exclude(expires_days=None):
        events.filter(purpose=purpose).update(expires_at=F("at") + dt.timedelta(days=purpose.expires_days))
    states = apps.get_model("consent", "ConsentState").objects.filter(status__in=YES)
    end = Subquery(states.filter(event=OuterRef("pk")).order_by("-pk").values("expires_at")[:1])
    events.filter(pk__in=states.values("event")).update(expires_at=end)


def fold_ledgers(apps, schema_editor):
    merges = apps.get_model("profiles", "Merge").objects.filter(undone_at=None).order_by()
    events = apps.get_model("consent", "ConsentEvent").objects
    states = apps.get_model("consent", "ConsentState").objects
    fold_portion = _Folder(apps, schema_editor.connection.alias)
    # A merged profile before the one it is part of. What stands of it is needed for the other, also if it was folded before.
    sources = merges.filter(source__merged_into__isnull=False).order_by("pk").values_list("source", flat=True)
    parts = dict.fromkeys(sources)
    for pk in parts:
        fold_portion([pk])
    # Correlated, and not `pk__in`: every portion would read the whole ledger.
    has_history = Q(Exists(events.filter(profile=OuterRef("pk")))) | Q(Exists(merges.filter(into=OuterRef("pk"))))
    is_folded = Exists(states.filter(profile=OuterRef("pk")).exclude(standing=[]))
    rest = apps.get_model("profiles", "Profile").objects.filter(has_history).exclude(is_folded).order_by("pk")
    last = 0
    while portion := list(rest.filter(pk__gt=last).values_list("pk", flat=True)[:PORTION]):
        fold_portion([pk for pk in portion if pk not in parts])
        last = portion[-1]


class _Folder:
    def __init__(self, apps, using):
        self.using = using
        self.events = apps.get_model("consent", "ConsentEvent").objects.only(*READ)
        self.states = apps.get_model("consent", "ConsentState").objects
        self.state = apps.get_model("consent", "ConsentState")
        self.merges = apps.get_model("profiles", "Merge").objects.filter(undone_at=None)
        self.facts = apps.get_model("profiles", "Fact").objects
        self.folded = {}  # of merged profiles

    def __call__(self, portion):
        with transaction.atomic(self.using):
            self._fold(portion)

    def _fold(self, portion):
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
        renamed = {number for number, other in first.items() if number != other}
        if not renamed:
            return
        profiles = {profile for profile, _ in histories}
        moved = []
        for fact in self.facts.filter(profile__in=profiles).exclude(consents=[]).only("consents"):
            if not renamed.isdisjoint(fact.consents):
                fact.consents = sorted({first.get(number, number) for number in fact.consents})
                moved.append(fact)
        self.facts.bulk_update(moved, ["consents"], batch_size=200)


def mark_due(apps, schema_editor):
    """Let the worker recompute everybody, once: `profiles.0014_account_terms` has marked them in most installations."""
    profiles = apps.get_model("profiles", "Profile").objects.filter(merged_into=None)
    now, last = timezone.now(), 0
    while portion := list(profiles.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:10_000]):
        of_portion = profiles.filter(pk__gt=last, pk__lte=portion[-1])
        of_portion.filter(Q(changes_at=None) | Q(changes_at__gt=now)).update(changes_at=now)
        last = portion[-1]


class Migration(migrations.Migration):
    atomic = False  # a portion at a time

    dependencies = [("consent", "0012_folded_states"), ("profiles", "0016_folded_states"), ("jobs", "0001_initial")]

    operations = [
        migrations.RunPython(set_expiries, migrations.RunPython.noop, elidable=True),
        migrations.RunPython(fold_ledgers, migrations.RunPython.noop, elidable=True),
        migrations.RunPython(mark_due, migrations.RunPython.noop, elidable=True),
    ]
