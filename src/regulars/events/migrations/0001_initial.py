import django.db.models.deletion
import regulars.base.clock
import regulars.events.models
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Source',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100)),
                ('slug', models.SlugField(unique=True)),
                ('write_key', models.CharField(default=regulars.events.models.new_write_key, max_length=64, unique=True)),
                ('enabled', models.BooleanField(default=True)),
                ('created_at', models.DateTimeField(default=regulars.base.clock.now)),
            ],
        ),
        migrations.CreateModel(
            name='Rejection',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(default=regulars.base.clock.now)),
                ('reason', models.CharField(max_length=64)),
                ('excerpt', models.CharField(max_length=500)),
                ('source', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, to='events.source')),
            ],
        ),
        migrations.CreateModel(
            name='InboxItem',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('message_id', models.CharField(max_length=255, unique=True)),
                ('type', models.CharField(max_length=16)),
                ('body', models.TextField()),
                ('sent_at', models.CharField(blank=True, max_length=40)),
                ('received_at', models.DateTimeField()),
                ('processed_at', models.DateTimeField(blank=True, null=True)),
                ('rejected', models.CharField(blank=True, max_length=64)),
                ('source', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='events.source')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('processed_at', None)), fields=['id'], name='inbox_open')],
            },
        ),
        migrations.CreateModel(
            name='Event',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('profile_id', models.BigIntegerField()),
                ('origin', models.BigIntegerField(blank=True, null=True)),
                ('message_id', models.CharField(max_length=255, unique=True)),
                ('type', models.CharField(max_length=16)),
                ('name', models.CharField(max_length=255)),
                ('at', models.DateTimeField()),
                ('received_at', models.DateTimeField()),
                ('properties', models.JSONField(default=dict)),
                ('terms', models.JSONField(default=dict)),
                ('context', models.JSONField(default=dict)),
                ('lake_batch', models.BigIntegerField(blank=True, null=True)),
                ('lake_at', models.DateTimeField(blank=True, null=True)),
                ('source', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, to='events.source')),
            ],
            options={
                'indexes': [models.Index(fields=['profile_id', '-at'], name='events_of_profile'), models.Index(fields=['profile_id', 'name', 'at'], name='events_of_profile_by_name'), models.Index(condition=models.Q(('lake_at', None)), fields=['id'], name='events_not_in_lake'), models.Index(condition=models.Q(('origin__isnull', False)), fields=['origin'], name='events_by_origin')],
            },
        ),
    ]
