import django.db.models.deletion
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('clients', '0001_initial'),
        ('profiles', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='SessionName',
            fields=[
                ('key_sid', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('sid', models.CharField(max_length=64)),
                ('since', models.DateTimeField(default=django.utils.timezone.now)),
            ],
        ),
        migrations.CreateModel(
            name='AuthorizationCode',
            fields=[
                ('hash', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('grant', models.JSONField()),
                ('expires_at', models.DateTimeField(db_index=True)),
                ('family', models.UUIDField(null=True)),
                ('client', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='clients.client')),
                ('profile', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='profiles.profile')),
            ],
        ),
        migrations.CreateModel(
            name='DeviceRequest',
            fields=[
                ('hash', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('user_code_hash', models.CharField(max_length=64, unique=True)),
                ('params', models.JSONField()),
                ('state', models.CharField(choices=[('waiting', 'Waiting'), ('allowed', 'Allowed'), ('denied', 'Denied'), ('used', 'Used')], default='waiting', max_length=8)),
                ('grant', models.JSONField(default=dict)),
                ('interval', models.PositiveSmallIntegerField(default=5)),
                ('asked_at', models.DateTimeField(null=True)),
                ('expires_at', models.DateTimeField(db_index=True)),
                ('client', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='clients.client')),
                ('profile', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='profiles.profile')),
            ],
        ),
        migrations.CreateModel(
            name='PendingLogin',
            fields=[
                ('state_hash', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('browser', models.CharField(max_length=64)),
                ('params', models.JSONField()),
                ('progress', models.JSONField(default=dict)),
                ('posted', models.JSONField(default=dict)),
                ('waits_for', models.CharField(blank=True, choices=[('login', 'Login'), ('rule', 'Rule'), ('question', 'Question'), ('consent', 'Consent')], max_length=16)),
                ('pushed', models.BooleanField(default=False)),
                ('started_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('expires_at', models.DateTimeField(db_index=True)),
                ('account', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('client', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='clients.client')),
            ],
        ),
        migrations.CreateModel(
            name='PushedRequest',
            fields=[
                ('hash', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('params', models.JSONField()),
                ('expires_at', models.DateTimeField(db_index=True)),
                ('client', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='clients.client')),
            ],
        ),
        migrations.CreateModel(
            name='RefreshFamily',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ('grant', models.JSONField()),
                ('started_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('expires_at', models.DateTimeField(db_index=True)),
                ('revoked_at', models.DateTimeField(null=True)),
                ('revoked_why', models.CharField(blank=True, max_length=32)),
                ('sid', models.CharField(blank=True, db_index=True, max_length=64)),
                ('client', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='clients.client')),
                ('profile', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='profiles.profile')),
            ],
        ),
        migrations.CreateModel(
            name='RefreshToken',
            fields=[
                ('hash', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('expires_at', models.DateTimeField()),
                ('used_at', models.DateTimeField(null=True)),
                ('family', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='tokens', to='oauth.refreshfamily')),
            ],
        ),
        migrations.CreateModel(
            name='AppGrant',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('audience', models.CharField(blank=True, max_length=255)),
                ('scopes', models.JSONField(default=list)),
                ('given_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('client', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='clients.client')),
                ('profile', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='app_grants', to='profiles.profile')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('profile', 'client', 'audience'), name='one_consent_per_app_and_api')],
            },
        ),
        migrations.CreateModel(
            name='SessionClient',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('sid', models.CharField(max_length=64)),
                ('claims', models.JSONField(default=dict)),
                ('since', models.DateTimeField(default=django.utils.timezone.now)),
                ('ended_at', models.DateTimeField(null=True)),
                ('client', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='clients.client')),
                ('profile', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='profiles.profile')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('sid', 'client'), name='an_app_is_once_in_a_session')],
            },
        ),
    ]
