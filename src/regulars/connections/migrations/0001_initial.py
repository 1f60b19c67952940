import regulars.base.clock
import regulars.base.db.encrypted
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Connection',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.SlugField(max_length=128, unique=True)),
                ('strategy', models.CharField(max_length=64)),
                ('display_name', models.CharField(max_length=128)),
                ('client_id', models.CharField(blank=True, max_length=255)),
                ('secret', regulars.base.db.encrypted.EncryptedJSONField(blank=True, null=True)),
                ('scopes', models.JSONField(default=list)),
                ('requested_claims', models.JSONField(default=list)),
                ('urls', models.JSONField(default=dict)),
                ('settings', models.JSONField(default=dict)),
                ('offline', models.BooleanField(default=False)),
                ('note', models.CharField(blank=True, max_length=200)),
                ('enabled', models.BooleanField(default=True)),
                ('created_at', models.DateTimeField(default=regulars.base.clock.now)),
            ],
        ),
    ]
