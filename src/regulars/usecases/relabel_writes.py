"""After an upgrade: give facts of rules and of `app_metadata` the kind that they are written with today.

They counted as the customer's own word before. Where the customer had deleted the value, the fact that brought it back goes.
Sources stay: which version of a rule wrote such a fact is not known.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Q

from regulars.base.jobs.tasks import enqueue, handles
from regulars.profiles.assertions import Asserter
from regulars.profiles.learn import CUSTOMER
from regulars.profiles.models import Attribute, Fact

from .grant_purposes import ACCOUNT
from .unit_of_work import Changes, changes

JOB = "profiles.relabel_writes"  # queued by a migration
PORTION = 50  # about a second on a busy machine, in which SQLite has no other writer


@handles(JOB)
def relabel_writes(payload: dict[str, Any]) -> None:
    """Payload: `{"after": profile id}`. Relabel the facts of the next portion of customers, and queue the one after it."""
    later = _written_as_declared().filter(profile_id__gt=payload["after"], profile__merged_into=None)
    portion = list(later.order_by("profile_id").values_list("profile_id", flat=True).distinct()[:PORTION])
    if not portion:
        return
    with changes(portion, "upgrade") as c:
        facts = list(_written_as_declared().filter(profile__in=c.profiles))
        for fact in facts:
            fact.source_kind = Fact.SourceKind.OBSERVED
            if fact.asserter == Asserter.RULE:
                fact.purpose = fact.purpose or ACCOUNT
        Fact.objects.bulk_update(facts, ["source_kind", "purpose"], batch_size=200)
        _retract_revived(c, facts)
        for profile in c.profiles:
            c.refresh(profile)
    enqueue(JOB, {"after": portion[-1]}, key=JOB)


def _written_as_declared() -> Any:
    kept_there = Attribute.objects.filter(metadata_path__startswith="app_metadata.").values("key")
    in_app_metadata = Q(attribute__startswith="app_metadata.") | Q(attribute__in=kept_there)
    writers = Q(asserter=Asserter.RULE) | (Q(asserter=Asserter.APP_TOKEN) & in_app_metadata)
    return Fact.objects.filter(writers, source_kind=Fact.SourceKind.DECLARED, retracted_at=None)


def _retract_revived(c: Changes, facts: Iterable[Fact]) -> None:
    """Retract what brought a value back that the customer had deleted before, and that they have not entered again."""
    deletions: dict[tuple[int, str], Fact] = {}
    for fact in Fact.objects.filter(profile__in=c.profiles, source=CUSTOMER, retracted_at=None).order_by(
        "collected_at", "id"
    ):
        deletions[fact.profile_id, fact.attribute] = fact
    revived: dict[int, list[Fact]] = {}
    for fact in facts:
        own = deletions.get((fact.profile_id, fact.attribute))
        if own is not None and own.value is None and fact.value is not None:
            revived.setdefault(fact.profile_id, []).append(fact)
    for profile in c.profiles:
        c.retract(revived.get(profile.pk, []), "deleted_by_customer", of=profile)
