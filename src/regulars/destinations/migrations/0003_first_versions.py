from django.db import migrations

PORTION = 5000  # rows that one statement writes


def add_versions(apps, schema_editor):
    """Make one version of every destination: where it was before is not known any more."""
    destinations, versions, disclosures = (
        apps.get_model("destinations", name) for name in ("Destination", "DestinationVersion", "Disclosure")
    )
    for destination in destinations.objects.order_by("id"):
        version = versions.objects.create(
            destination=destination,
            name=destination.name,
            settings=destination.settings,
            purpose_id=destination.purpose_id,
            since=destination.created_at,
        )
        destinations.objects.filter(pk=destination.pk).update(current_version=version)
        after = 0
        rows = disclosures.objects.filter(destination=destination, version=None).order_by("id")
        while some := list(rows.filter(pk__gt=after).values_list("pk", flat=True)[:PORTION]):
            rows.filter(pk__gt=after, pk__lte=some[-1]).order_by().update(version=version)
            after = some[-1]


class Migration(migrations.Migration):

    dependencies = [
        ('destinations', '0002_versions'),
    ]

    operations = [
        migrations.RunPython(add_versions, migrations.RunPython.noop),
    ]
