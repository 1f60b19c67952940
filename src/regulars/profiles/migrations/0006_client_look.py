import json

from django.db import migrations, models

KEY = "look"  # in the metadata, as JSON text


def move_out(apps, schema_editor):
    """What is no look, and only happens to have that name, stays where it is."""
    for client in apps.get_model("profiles", "Client").objects.filter(metadata__has_key=KEY).iterator():
        try:
            look = json.loads(str(client.metadata[KEY]))
        except ValueError:
            continue
        if isinstance(look, dict):
            client.look = look
            del client.metadata[KEY]
            client.save(update_fields=["look", "metadata"])


def move_back(apps, schema_editor):
    for client in apps.get_model("profiles", "Client").objects.exclude(look={}).iterator():
        client.metadata[KEY] = json.dumps(client.look)
        client.save(update_fields=["metadata"])


class Migration(migrations.Migration):
    dependencies = [
        ("profiles", "0005_refused_guesses"),
    ]

    operations = [
        migrations.AddField(model_name="client", name="look", field=models.JSONField(default=dict)),
        migrations.RunPython(move_out, move_back),
    ]
