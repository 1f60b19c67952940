"""Rename events that collectors sent under names of our own, and process once more what failed.

Until now any visitor of the shop could write "Signed In" with the public write key. Such events stay, as `Signed In (claimed)`:
no condition, chart or page takes them for our own. Messages that failed are read by a reader that refuses by name.
"""

from django.db import migrations
from django.utils import timezone

from regulars.events.own_events import is_own_name

PORTION = 500


def rename_claimed(apps, schema_editor):
    Event = apps.get_model("events", "Event")
    Job = apps.get_model("jobs", "Job")
    sent = Event.objects.filter(source__isnull=False)
    names = [name for name in sent.values_list("name", flat=True).distinct() if is_own_name(name)]
    claimed = dict(sent.filter(name__in=names).values_list("pk", "profile_id")) if names else {}
    ids = sorted(claimed)
    for start in range(0, len(ids), PORTION):
        portion = ids[start : start + PORTION]
        for name in names:
            rows = Event.objects.filter(pk__in=portion, name=name)
            rows.update(name=f"{name[:240]} (claimed)", lake_batch=None, lake_at=None)
    # The lake has the old rows: profile by profile it is written anew.
    profiles = sorted(set(claimed.values()))
    for start in range(0, len(profiles), PORTION):
        payload = {"profiles": profiles[start : start + PORTION]}
        Job.objects.create(kind="lake.rewrite", key="lake", payload=payload, due_at=timezone.now())


def process_failed_again(apps, schema_editor):
    InboxItem = apps.get_model("events", "InboxItem")
    InboxItem.objects.filter(rejected__startswith="failed:").update(processed_at=None, rejected="")


class Migration(migrations.Migration):

    dependencies = [
        ("events", "0003_kinds_of_sources"),
        ("jobs", "0001_initial"),
    ]

    operations = [
        migrations.RunPython(rename_claimed, migrations.RunPython.noop),
        migrations.RunPython(process_failed_again, migrations.RunPython.noop),
    ]
