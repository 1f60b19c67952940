"""In an installation with customers, begin to delete what was kept for ever after a time to read of it."""

import datetime as dt

from django.db import migrations

from regulars.base import clock

# Kinds that are finite from this version on, with their defaults then.
FINITE = {"removed_disclosures": 1095, "ended_grants": 400, "day_counts": 400, "questions_shown": 400, "mails": 30}
GRACE = dt.timedelta(days=30)


def give_time(apps, schema_editor):
    retention = apps.get_model("consent", "Retention")
    if not apps.get_model("profiles", "Profile").objects.exists():
        return
    for kind, days in FINITE.items():
        retention.objects.get_or_create(kind=kind, defaults={"days": days, "starts_at": clock.now() + GRACE})


class Migration(migrations.Migration):
    dependencies = [("consent", "0020_document_comparison"), ("profiles", "0018_hold_addresses")]
    operations = [migrations.RunPython(give_time, migrations.RunPython.noop)]
