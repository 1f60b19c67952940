"""Queue the job that gives facts of rules and of app_metadata their kind of today: the worker does it portion by portion."""

from django.db import migrations
from django.utils import timezone


def queue(apps, schema_editor):
    written = apps.get_model("profiles", "Fact").objects.filter(
        asserter__in=("rule", "app_token"), source_kind="declared", retracted_at=None
    )
    if written.exists():
        apps.get_model("jobs", "Job").objects.create(
            kind="profiles.relabel_writes", payload={"after": 0}, due_at=timezone.now()
        )


class Migration(migrations.Migration):
    dependencies = [("profiles", "0018_hold_addresses"), ("jobs", "0001_initial")]

    operations = [migrations.RunPython(queue, migrations.RunPython.noop, elidable=True)]
