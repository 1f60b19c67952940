from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("clients", "0003_client_key_sets")]

    operations = [
        migrations.AddField("client", "signs_out_by_hint", models.BooleanField(default=False)),
    ]
