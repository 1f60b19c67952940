from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("clients", "0004_sign_out_by_hint")]

    operations = [
        migrations.AddField("client", "token_in_query", models.BooleanField(default=False)),
    ]
