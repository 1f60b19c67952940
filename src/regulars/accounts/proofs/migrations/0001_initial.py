import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('clients', '0001_initial'),
        ('mfa', '0003_authenticator_type_uniq'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='EmailCode',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('email', models.EmailField(db_index=True, max_length=254)),
                ('browser', models.CharField(blank=True, max_length=64)),
                ('onward', models.TextField(blank=True)),
                ('code_hash', models.CharField(blank=True, max_length=64)),
                ('link_hash', models.CharField(blank=True, db_index=True, max_length=64)),
                ('wrong_tries', models.PositiveSmallIntegerField(default=0)),
                ('used_at', models.DateTimeField(null=True)),
                ('expires_at', models.DateTimeField(db_index=True)),
                ('client', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='clients.client')),
            ],
        ),
        migrations.CreateModel(
            name='LoginTicket',
            fields=[
                ('hash', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('origin', models.CharField(max_length=255)),
                ('browser', models.CharField(max_length=64)),
                ('method', models.CharField(max_length=16)),
                ('made_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('expires_at', models.DateTimeField(db_index=True)),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('client', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='clients.client')),
                ('passkey', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='mfa.authenticator')),
            ],
        ),
    ]
