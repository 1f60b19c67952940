import django.db.models.deletion
import regulars.base.clock
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Client',
            fields=[
                ('client_id', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=100)),
                ('secret_hash', models.CharField(blank=True, max_length=128)),
                ('first_party', models.BooleanField(default=True)),
                ('auth_method', models.CharField(choices=[('none', 'None'), ('client_secret_post', 'Post'), ('client_secret_basic', 'Basic'), ('private_key_jwt', 'Private Key')], default='client_secret_post', max_length=32)),
                ('grant_types', models.JSONField(default=list)),
                ('redirect_uris', models.JSONField(default=list)),
                ('logout_uris', models.JSONField(default=list)),
                ('web_origins', models.JSONField(default=list)),
                ('embeds_login', models.BooleanField(default=False)),
                ('metadata', models.JSONField(default=dict)),
                ('branding', models.JSONField(default=dict)),
                ('public_keys', models.JSONField(default=list)),
                ('backchannel_logout_uri', models.CharField(blank=True, max_length=2000)),
                ('requires_par', models.BooleanField(default=False)),
                ('requires_dpop', models.BooleanField(default=False)),
                ('refresh', models.JSONField(default=dict)),
                ('created_at', models.DateTimeField(default=regulars.base.clock.now)),
            ],
        ),
        migrations.CreateModel(
            name='ResourceServer',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('identifier', models.CharField(max_length=255, unique=True)),
                ('name', models.CharField(max_length=100)),
                ('scopes', models.JSONField(default=list)),
                ('scope_words', models.JSONField(default=dict)),
                ('token_lifetime', models.PositiveIntegerField(default=86400)),
                ('token_lifetime_for_web', models.PositiveIntegerField(default=7200)),
                ('token_dialect', models.CharField(choices=[('access_token', 'Plain'), ('access_token_authz', 'With Permissions')], default='access_token', max_length=32)),
                ('allow_offline_access', models.BooleanField(default=True)),
                ('skip_consent', models.BooleanField(default=True)),
            ],
        ),
        migrations.CreateModel(
            name='ClientGrant',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('scopes', models.JSONField(default=list)),
                ('client', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='grants', to='clients.client')),
                ('resource_server', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='clients.resourceserver')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('client', 'resource_server'), name='one_grant_per_api')],
            },
        ),
    ]
