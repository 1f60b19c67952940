"""Let the worker recompute every profile with a date of birth or a fact that expires: bands of ages were missing on some days."""

from django.db import migrations
from django.db.models import Exists, Max, OuterRef, Q
from django.utils import timezone

PORTION = 10_000


def mark_due(apps, schema_editor):
    profiles, facts = apps.get_model("profiles", "Profile").objects, apps.get_model("profiles", "Fact").objects
    changing = facts.filter(Q(attribute="birthdate") | Q(expires_at__isnull=False), retracted_at=None)
    now, last = timezone.now(), profiles.aggregate(last=Max("pk"))["last"] or 0
    for start in range(0, last + 1, PORTION):
        portion = profiles.filter(pk__gte=start, pk__lt=start + PORTION)
        portion.filter(Exists(changing.filter(profile=OuterRef("pk")))).update(changes_at=now)


class Migration(migrations.Migration):
    dependencies = [("profiles", "0007_changes_at")]
    operations = [migrations.RunPython(mark_due, migrations.RunPython.noop)]
