import django.utils.timezone
import regulars.base.db.encrypted
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='UsedOnce',
            fields=[
                ('hash', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('expires_at', models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.CreateModel(
            name='SigningKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kid', models.CharField(max_length=64, unique=True)),
                ('private_pem', regulars.base.db.encrypted.EncryptedJSONField()),
                ('state', models.CharField(choices=[('next', 'Next'), ('current', 'Current'), ('retired', 'Retired')], max_length=8)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('retired_at', models.DateTimeField(null=True)),
            ],
            options={
                'constraints': [models.UniqueConstraint(condition=models.Q(('state', 'current')), fields=('state',), name='one_key_signs'), models.UniqueConstraint(condition=models.Q(('state', 'next')), fields=('state',), name='one_key_is_next')],
            },
        ),
    ]
