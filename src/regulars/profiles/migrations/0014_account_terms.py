"""Let the worker recompute every customer: the terms for searches have the account only, and the words are in permitted views."""

from django.db import migrations
from django.db.models import Max
from django.utils import timezone

PORTION = 10_000


def mark_due(apps, schema_editor):
    profiles = apps.get_model("profiles", "Profile").objects
    now, last = timezone.now(), profiles.aggregate(last=Max("pk"))["last"] or 0
    for start in range(0, last + 1, PORTION):
        profiles.filter(pk__gte=start, pk__lt=start + PORTION, merged_into=None).update(changes_at=now)


class Migration(migrations.Migration):
    dependencies = [("profiles", "0013_fill_contacts")]
    operations = [migrations.RunPython(mark_due, migrations.RunPython.noop)]
