import datetime as dt

from django.db import migrations, models

from regulars.base import clock

# Kinds that are finite from this version on, with their defaults then.
FINITE = {"events": 760, "customers": 1095, "deliveries": 90, "failed_jobs": 90, "staff_log": 730}
GRACE = dt.timedelta(days=30)


def give_time(apps, schema_editor):
    """In an installation with customers, begin to delete what was kept for ever after a time to read of it.

    What staff have set stays.
    """
    retention = apps.get_model("consent", "Retention")
    if not apps.get_model("profiles", "Profile").objects.exists():
        return
    for kind, days in FINITE.items():
        retention.objects.get_or_create(kind=kind, defaults={"days": days, "starts_at": clock.now() + GRACE})


class Migration(migrations.Migration):
    dependencies = [("consent", "0007_marketing_and_suppressions")]

    operations = [
        migrations.AddField(
            model_name="retention",
            name="starts_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.RunPython(give_time, migrations.RunPython.noop),
    ]
