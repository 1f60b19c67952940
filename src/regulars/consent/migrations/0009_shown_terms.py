from django.db import migrations, models


def hide_weak_words(apps, schema_editor):
    """Until the worker has recomputed a customer with words of a public key, applications find none of their words."""
    views = apps.get_model("consent", "PermittedView").objects
    views.exclude(by_place={}).update(shown_terms={})


class Migration(migrations.Migration):
    dependencies = [("consent", "0008_retention_starts")]
    operations = [
        migrations.AddField(
            model_name="permittedview",
            name="shown_terms",
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.RunPython(hide_weak_words, migrations.RunPython.noop),
    ]
