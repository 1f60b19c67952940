"""Let the worker recompute who allows a purpose: events of sources count for it only where they allow all of it."""

from django.db import migrations
from django.utils import timezone

PORTION = 10_000


def mark_due(apps, schema_editor):
    states = apps.get_model("consent", "ConsentState").objects.filter(status__in=("given", "imported"))
    profiles = apps.get_model("profiles", "Profile").objects.filter(merged_into=None)
    now, last = timezone.now(), 0
    while portion := list(states.filter(profile__gt=last).order_by("profile").values_list("profile", flat=True)[:PORTION]):
        allowing = states.filter(profile__gt=last, profile__lte=portion[-1])
        profiles.filter(pk__in=allowing.values("profile")).update(changes_at=now)
        last = portion[-1]


class Migration(migrations.Migration):
    atomic = False  # a portion at a time; it may be broken off and run again

    dependencies = [("consent", "0017_same_person"), ("profiles", "0016_folded_states")]
    operations = [migrations.RunPython(mark_due, migrations.RunPython.noop, elidable=True)]
