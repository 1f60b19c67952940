"""Let the worker recompute every customer: the terms for searches have the account only, and the words are in permitted views."""

from django.db import migrations
from django.utils import timezone

PORTION = 10_000


def mark_due(apps, schema_editor):
    profiles = apps.get_model("profiles", "Profile").objects.filter(merged_into=None)
    now, last = timezone.now(), 0
    while portion := list(profiles.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:PORTION]):
        profiles.filter(pk__gt=last, pk__lte=portion[-1]).update(changes_at=now)
        last = portion[-1]


class Migration(migrations.Migration):
    atomic = False  # a portion at a time; it may be broken off and run again

    dependencies = [("profiles", "0013_fill_contacts")]
    operations = [migrations.RunPython(mark_due, migrations.RunPython.noop)]
