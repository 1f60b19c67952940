"""Queue the job that joins the facts which each login stored again: the worker does it portion by portion."""

from django.db import migrations
from django.utils import timezone


def queue(apps, schema_editor):
    if apps.get_model("profiles", "Fact").objects.exists():
        apps.get_model("jobs", "Job").objects.create(
            kind="profiles.join_repeated_facts", payload={"after": 0}, due_at=timezone.now()
        )


class Migration(migrations.Migration):
    dependencies = [("profiles", "0009_fact_confirmations"), ("jobs", "0001_initial")]

    operations = [migrations.RunPython(queue, migrations.RunPython.noop, elidable=True)]
