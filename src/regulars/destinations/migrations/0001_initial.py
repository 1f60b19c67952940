import django.db.models.deletion
import regulars.base.clock
import regulars.base.db.encrypted
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('consent', '0001_initial'),
        ('profiles', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Destination',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=128)),
                ('slug', models.SlugField(max_length=64, unique=True)),
                ('kind', models.CharField(max_length=64)),
                ('settings', regulars.base.db.encrypted.EncryptedJSONField(default=dict)),
                ('segment_slugs', models.JSONField(default=list)),
                ('mapping', models.JSONField(default=list)),
                ('enabled', models.BooleanField(default=True)),
                ('created_at', models.DateTimeField(default=regulars.base.clock.now)),
                ('failures', models.PositiveIntegerField(default=0)),
                ('broken_until', models.DateTimeField(blank=True, null=True)),
                ('purpose', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='consent.purpose')),
            ],
        ),
        migrations.CreateModel(
            name='Delivery',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('message_id', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('segment_slug', models.SlugField(max_length=64)),
                ('segment_name', models.CharField(max_length=128)),
                ('entered', models.BooleanField()),
                ('at', models.DateTimeField()),
                ('state', models.CharField(choices=[('pending', 'Pending'), ('sent', 'Sent'), ('failed', 'Failed'), ('dropped', 'Dropped')], default='pending', max_length=8)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('error', models.CharField(blank=True, max_length=64)),
                ('last_error', models.TextField(blank=True)),
                ('created_at', models.DateTimeField(default=regulars.base.clock.now)),
                ('queued_at', models.DateTimeField(default=regulars.base.clock.now)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('profile', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='profiles.profile')),
                ('destination', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='destinations.destination')),
            ],
            options={
                'indexes': [models.Index(fields=['destination', 'state', '-id'], name='destination_destina_6bce1f_idx')],
            },
        ),
        migrations.CreateModel(
            name='Disclosure',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('fields', models.JSONField(default=dict)),
                ('segments', models.JSONField(default=list)),
                ('match', regulars.base.db.encrypted.EncryptedJSONField(default=dict)),
                ('first_at', models.DateTimeField(default=regulars.base.clock.now)),
                ('last_at', models.DateTimeField(default=regulars.base.clock.now)),
                ('state', models.CharField(choices=[('attempted', 'Attempted'), ('sent', 'Sent'), ('removing', 'Removing'), ('removed', 'Removed'), ('failed', 'Failed')], default='attempted', max_length=12)),
                ('erase', models.BooleanField(default=False)),
                ('request_id', models.UUIDField(default=uuid.uuid4, editable=False)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('error', models.CharField(blank=True, max_length=64)),
                ('last_error', models.TextField(blank=True)),
                ('asked_at', models.DateTimeField(blank=True, null=True)),
                ('confirmed_at', models.DateTimeField(blank=True, null=True)),
                ('destination', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='disclosures', to='destinations.destination')),
                ('profile', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='disclosures', to='profiles.profile')),
            ],
            options={
                'indexes': [models.Index(fields=['destination', 'state'], name='destination_destina_86d98b_idx')],
                'constraints': [models.UniqueConstraint(fields=('destination', 'profile'), name='one_disclosure_per_destination')],
            },
        ),
    ]
