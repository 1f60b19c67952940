import regulars.base.clock
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='PeriodicTask',
            fields=[
                ('task', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('begun_at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='Queue',
            fields=[
                ('name', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('concurrency', models.PositiveSmallIntegerField(default=1)),
                ('paused_until', models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name='Job',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=64)),
                ('key', models.CharField(blank=True, max_length=128)),
                ('queue', models.CharField(blank=True, max_length=64)),
                ('payload', models.JSONField(default=dict)),
                ('state', models.CharField(choices=[('waiting', 'Waiting'), ('running', 'Running'), ('done', 'Done'), ('failed', 'Failed')], default='waiting', max_length=8)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('due_at', models.DateTimeField()),
                ('leased_until', models.DateTimeField(blank=True, null=True)),
                ('leased_by', models.CharField(blank=True, max_length=64)),
                ('last_error', models.TextField(blank=True)),
                ('created_at', models.DateTimeField(default=regulars.base.clock.now)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('state__in', ['waiting', 'running'])), fields=['due_at', 'id'], name='jobs_open'), models.Index(condition=models.Q(('state__in', ['waiting', 'running'])), fields=['key', 'id'], name='jobs_in_line'), models.Index(condition=models.Q(('state', 'running')), fields=['queue'], name='jobs_in_queues'), models.Index(condition=models.Q(('state', 'failed')), fields=['queue', 'id'], name='jobs_failed')],
            },
        ),
    ]
