from django.db import migrations, models

KEY = "cross_origin_authentication"  # in the metadata


def move_out(apps, schema_editor):
    for client in apps.get_model("profiles", "Client").objects.filter(metadata__has_key=KEY).iterator():
        client.embeds_login = client.metadata.pop(KEY) in (True, "true")
        client.save(update_fields=["embeds_login", "metadata"])


def move_back(apps, schema_editor):
    for client in apps.get_model("profiles", "Client").objects.filter(embeds_login=True).iterator():
        client.metadata[KEY] = True
        client.save(update_fields=["metadata"])


class Migration(migrations.Migration):
    dependencies = [
        ("profiles", "0006_client_look"),
    ]

    operations = [
        migrations.AddField(model_name="client", name="embeds_login", field=models.BooleanField(default=False)),
        migrations.RunPython(move_out, move_back),
    ]
