import django.db.models.deletion
import regulars.base.clock
import regulars.base.db.encrypted
from decimal import Decimal
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('consent', '0001_initial'),
        ('profiles', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Reliability',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('source_key', models.CharField(max_length=64)),
                ('attribute', models.CharField(max_length=128)),
                ('agree', models.PositiveIntegerField(default=0)),
                ('compared', models.PositiveIntegerField(default=0)),
                ('reliability', models.FloatField()),
                ('counted_at', models.DateTimeField(default=regulars.base.clock.now)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('source_key', 'attribute'), name='one_reliability_per_attribute')],
            },
        ),
        migrations.CreateModel(
            name='SourceDay',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('source_key', models.CharField(max_length=64)),
                ('day', models.DateField()),
                ('calls', models.PositiveIntegerField(default=0)),
                ('answers', models.PositiveIntegerField(default=0)),
                ('nothing', models.PositiveIntegerField(default=0)),
                ('faults', models.PositiveIntegerField(default=0)),
                ('cost', models.DecimalField(decimal_places=4, default=Decimal('0'), max_digits=14)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('source_key', 'day'), name='one_row_per_source_and_day')],
            },
        ),
        migrations.CreateModel(
            name='SourceSetting',
            fields=[
                ('key', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('enabled', models.BooleanField(default=False)),
                ('settings', regulars.base.db.encrypted.EncryptedJSONField(default=dict)),
                ('calls_per_day', models.PositiveIntegerField(blank=True, null=True)),
                ('calls_per_minute', models.PositiveIntegerField(blank=True, null=True)),
                ('concurrency', models.PositiveSmallIntegerField(default=1)),
                ('price', models.DecimalField(decimal_places=4, default=Decimal('0'), max_digits=10)),
                ('money_per_day', models.DecimalField(blank=True, decimal_places=2, max_digits=10, null=True)),
                ('fresh_days', models.PositiveSmallIntegerField(blank=True, null=True)),
                ('next_call_at', models.DateTimeField(blank=True, null=True)),
                ('purpose', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='consent.purpose')),
            ],
        ),
        migrations.CreateModel(
            name='Lookup',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('source_key', models.CharField(max_length=64)),
                ('question', models.CharField(max_length=64)),
                ('answer', models.JSONField(default=dict)),
                ('error', models.CharField(blank=True, max_length=64)),
                ('last_error', models.TextField(blank=True)),
                ('asked_at', models.DateTimeField(default=regulars.base.clock.now)),
                ('fresh_until', models.DateTimeField(default=regulars.base.clock.now)),
                ('profile', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='lookups', to='profiles.profile')),
            ],
            options={
                'constraints': [models.UniqueConstraint(condition=models.Q(('profile', None)), fields=('source_key', 'question'), name='one_answer_about_an_area'), models.UniqueConstraint(fields=('source_key', 'profile', 'question'), name='one_answer_about_a_person')],
            },
        ),
    ]
