import django.db.models.deletion
import regulars.base.clock
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('profiles', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Erasure',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('at', models.DateTimeField(default=regulars.base.clock.now)),
                ('mode', models.CharField(choices=[('erased', 'Erased'), ('anonymised', 'Anonymised'), ('period', 'Period')], default='erased', max_length=12)),
                ('asked_by', models.CharField(max_length=16)),
                ('who', models.JSONField(default=list)),
                ('profiles', models.JSONField(default=list)),
                ('since', models.DateTimeField(blank=True, null=True)),
                ('until', models.DateTimeField(blank=True, null=True)),
                ('removed', models.JSONField(default=dict)),
                ('disclosures', models.JSONField(default=list)),
            ],
        ),
        migrations.CreateModel(
            name='Notice',
            fields=[
                ('hash', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('version', models.PositiveIntegerField()),
                ('locale', models.CharField(default='en', max_length=16)),
                ('body', models.TextField()),
            ],
        ),
        migrations.CreateModel(
            name='Purpose',
            fields=[
                ('key', models.CharField(max_length=32, primary_key=True, serialize=False)),
                ('version', models.PositiveIntegerField(default=1)),
                ('label', models.CharField(max_length=128)),
                ('text', models.TextField()),
                ('translations', models.JSONField(blank=True, default=dict)),
                ('consents_from', models.PositiveIntegerField(default=1)),
                ('basis', models.CharField(choices=[('contract', 'Contract'), ('legitimate_interest', 'Legitimate Interest'), ('consent', 'Consent')], max_length=24)),
                ('kind', models.CharField(max_length=16)),
                ('expires_days', models.PositiveIntegerField(blank=True, null=True)),
                ('active', models.BooleanField(default=True)),
            ],
        ),
        migrations.CreateModel(
            name='Retention',
            fields=[
                ('kind', models.CharField(max_length=32, primary_key=True, serialize=False)),
                ('days', models.PositiveIntegerField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name='Suppression',
            fields=[
                ('hash', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('since', models.DateTimeField(default=regulars.base.clock.now)),
            ],
        ),
        migrations.CreateModel(
            name='ConsentEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('purpose_version', models.PositiveIntegerField()),
                ('action', models.CharField(choices=[('given', 'Given'), ('refused', 'Refused'), ('withdrawn', 'Withdrawn'), ('objected', 'Objected'), ('objection_lifted', 'Objection Lifted'), ('expired', 'Expired'), ('gpc', 'Gpc'), ('imported', 'Imported')], max_length=16)),
                ('explicit', models.BooleanField(default=False)),
                ('at', models.DateTimeField(default=regulars.base.clock.now)),
                ('method', models.CharField(max_length=16)),
                ('evidence', models.JSONField(default=dict)),
                ('actor', models.CharField(default='customer', max_length=64)),
                ('prev_hash', models.CharField(blank=True, max_length=64)),
                ('hash', models.CharField(max_length=64)),
                ('profile', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='consent_events', to='profiles.profile')),
                ('notice', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, to='consent.notice')),
                ('purpose', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='consent.purpose')),
            ],
        ),
        migrations.AddField(
            model_name='notice',
            name='purpose',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='consent.purpose'),
        ),
        migrations.CreateModel(
            name='KeptDecision',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('person', models.UUIDField(db_index=True)),
                ('purpose_version', models.PositiveIntegerField()),
                ('action', models.CharField(choices=[('given', 'Given'), ('refused', 'Refused'), ('withdrawn', 'Withdrawn'), ('objected', 'Objected'), ('objection_lifted', 'Objection Lifted'), ('expired', 'Expired'), ('gpc', 'Gpc'), ('imported', 'Imported')], max_length=16)),
                ('explicit', models.BooleanField(default=False)),
                ('at', models.DateTimeField()),
                ('method', models.CharField(max_length=16)),
                ('erased_at', models.DateTimeField(db_index=True, default=regulars.base.clock.now)),
                ('notice', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, to='consent.notice')),
                ('purpose', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='consent.purpose')),
            ],
        ),
        migrations.CreateModel(
            name='PermittedView',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('traits', models.JSONField(default=dict)),
                ('terms', models.JSONField(default=dict)),
                ('refreshed_at', models.DateTimeField(default=regulars.base.clock.now)),
                ('lake_at', models.DateTimeField(blank=True, null=True)),
                ('profile', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='permitted_views', to='profiles.profile')),
                ('purpose', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='consent.purpose')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('lake_at', None)), fields=['id'], name='views_not_in_lake')],
                'constraints': [models.UniqueConstraint(fields=('profile', 'purpose'), name='one_view_per_purpose')],
            },
        ),
        migrations.CreateModel(
            name='ConsentState',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('status', models.CharField(choices=[('given', 'Given'), ('refused', 'Refused'), ('withdrawn', 'Withdrawn'), ('objected', 'Objected'), ('objection_lifted', 'Objection Lifted'), ('expired', 'Expired'), ('gpc', 'Gpc'), ('imported', 'Imported')], max_length=16)),
                ('since', models.DateTimeField()),
                ('expires_at', models.DateTimeField(null=True)),
                ('event', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='consent.consentevent')),
                ('profile', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='consent_states', to='profiles.profile')),
                ('purpose', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='consent.purpose')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('profile', 'purpose'), name='one_state_per_purpose')],
            },
        ),
        migrations.AddIndex(
            model_name='consentevent',
            index=models.Index(fields=['profile', 'purpose'], name='consent_con_profile_6d5726_idx'),
        ),
    ]
