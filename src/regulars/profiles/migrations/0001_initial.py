import django.db.models.deletion
import django.utils.timezone
import regulars.base.clock
import regulars.base.db.encrypted
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Attribute',
            fields=[
                ('key', models.CharField(max_length=128, primary_key=True, serialize=False)),
                ('label', models.CharField(max_length=128)),
                ('type', models.CharField(default='text', max_length=16)),
                ('category', models.CharField(default='user', max_length=64)),
                ('sensitivity', models.CharField(choices=[('normal', 'Normal'), ('sensitive', 'Sensitive'), ('special', 'Special')], default='normal', max_length=16)),
                ('purposes', models.JSONField(default=list)),
                ('options', models.JSONField(default=list)),
                ('metadata_path', models.CharField(blank=True, db_index=True, max_length=160)),
                ('half_life_days', models.PositiveIntegerField(blank=True, null=True)),
                ('expires_days', models.PositiveIntegerField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name='UpstreamRevocation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('erasure', models.UUIDField(db_index=True)),
                ('connection', models.CharField(max_length=128)),
                ('secret', regulars.base.db.encrypted.EncryptedJSONField(default=dict)),
                ('expires_at', models.DateTimeField(blank=True, null=True)),
                ('state', models.CharField(choices=[('waiting', 'Waiting'), ('ended', 'Ended'), ('not_found', 'Not Found'), ('unable', 'Unable'), ('failed', 'Failed')], default='waiting', max_length=10)),
                ('tries', models.PositiveSmallIntegerField(default=0)),
                ('why', models.CharField(blank=True, max_length=200)),
                ('asked_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('over_at', models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name='Profile',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('user_id', models.CharField(max_length=255, unique=True)),
                ('created_at', models.DateTimeField(db_index=True, default=regulars.base.clock.now)),
                ('updated_at', models.DateTimeField(default=regulars.base.clock.now)),
                ('last_seen_at', models.DateTimeField(blank=True, db_index=True, null=True)),
                ('last_login', models.DateTimeField(blank=True, null=True)),
                ('last_ip', models.CharField(blank=True, max_length=45)),
                ('logins_count', models.PositiveIntegerField(default=0)),
                ('blocked', models.BooleanField(default=False)),
                ('document', models.JSONField(default=dict)),
                ('terms', models.JSONField(default=dict)),
                ('closed_consents', models.JSONField(default=list)),
                ('account', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='profile', to=settings.AUTH_USER_MODEL)),
                ('merged_into', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='merged', to='profiles.profile')),
            ],
        ),
        migrations.CreateModel(
            name='Merge',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('why', models.CharField(max_length=96)),
                ('at', models.DateTimeField(default=regulars.base.clock.now)),
                ('undone_at', models.DateTimeField(blank=True, null=True)),
                ('undone_why', models.CharField(blank=True, max_length=96)),
                ('into', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='merges', to='profiles.profile')),
                ('source', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='merges_away', to='profiles.profile')),
            ],
        ),
        migrations.CreateModel(
            name='Identity',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('provider', models.CharField(max_length=64)),
                ('provider_user_id', models.CharField(max_length=255)),
                ('connection', models.CharField(blank=True, max_length=128)),
                ('is_social', models.BooleanField(default=False)),
                ('origin', models.BigIntegerField(blank=True, null=True)),
                ('first_seen_at', models.DateTimeField(default=regulars.base.clock.now)),
                ('last_seen_at', models.DateTimeField(default=regulars.base.clock.now)),
                ('profile', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='identities', to='profiles.profile')),
            ],
        ),
        migrations.CreateModel(
            name='Fact',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('attribute', models.CharField(max_length=128)),
                ('value', models.JSONField(null=True)),
                ('source_kind', models.CharField(choices=[('corrected', 'Corrected'), ('declared', 'Declared'), ('verified', 'Verified'), ('social', 'Social'), ('observed', 'Observed'), ('imported', 'Imported'), ('enriched', 'Enriched'), ('inferred', 'Inferred')], max_length=16)),
                ('source', models.CharField(max_length=128)),
                ('collected_at', models.DateTimeField(default=regulars.base.clock.now)),
                ('basis', models.CharField(default='contract', max_length=24)),
                ('consents', models.JSONField(default=list)),
                ('confidence', models.FloatField(default=1.0)),
                ('expires_at', models.DateTimeField(blank=True, null=True)),
                ('derived_from', models.JSONField(default=list)),
                ('reason', models.CharField(blank=True, max_length=200)),
                ('retracted_at', models.DateTimeField(blank=True, null=True)),
                ('retracted_why', models.CharField(blank=True, max_length=64)),
                ('origin', models.BigIntegerField(blank=True, null=True)),
                ('identity', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='facts', to='profiles.identity')),
                ('profile', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='facts', to='profiles.profile')),
            ],
        ),
        migrations.CreateModel(
            name='ProviderAnswer',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(default=regulars.base.clock.now)),
                ('raw', models.JSONField()),
                ('scopes_asked', models.JSONField(default=list)),
                ('scopes_granted', models.JSONField(default=list)),
                ('scopes_refused', models.JSONField(default=list)),
                ('identity', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='answers', to='profiles.identity')),
            ],
        ),
        migrations.CreateModel(
            name='RefusedGuess',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('attribute', models.CharField(max_length=128)),
                ('source', models.CharField(max_length=128)),
                ('day', models.DateField()),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('day', 'attribute', 'source'), name='one_refused_guess_a_day')],
            },
        ),
        migrations.CreateModel(
            name='UpstreamToken',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('secret', regulars.base.db.encrypted.EncryptedJSONField()),
                ('scopes', models.JSONField(default=list)),
                ('expires_at', models.DateTimeField(blank=True, null=True)),
                ('refreshing_until', models.DateTimeField(blank=True, null=True)),
                ('updated_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('identity', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='token', to='profiles.identity')),
            ],
        ),
        migrations.AddConstraint(
            model_name='identity',
            constraint=models.UniqueConstraint(fields=('provider', 'provider_user_id'), name='identity_is_known_once'),
        ),
        migrations.AddIndex(
            model_name='fact',
            index=models.Index(fields=['profile', 'attribute'], name='profiles_fa_profile_1abc23_idx'),
        ),
    ]
