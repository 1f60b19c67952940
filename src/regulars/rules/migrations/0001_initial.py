import django.db.models.deletion
import regulars.base.clock
import regulars.base.db.encrypted
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('profiles', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Rule',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=128)),
                ('slug', models.SlugField(max_length=64, unique=True)),
                ('language', models.CharField(choices=[('javascript', 'JavaScript'), ('action', 'Action'), ('python', 'Python (installed)'), ('monty', 'Python')], default='javascript', max_length=16)),
                ('moment', models.CharField(default='login', max_length=32)),
                ('script', models.TextField()),
                ('template', models.CharField(blank=True, max_length=64)),
                ('order', models.IntegerField(default=0)),
                ('enabled', models.BooleanField(default=True)),
                ('deny_on_failure', models.BooleanField(default=False)),
                ('settings', regulars.base.db.encrypted.EncryptedJSONField(blank=True, default=dict)),
                ('timeout', models.FloatField(default=3.0)),
                ('own_realm', models.BooleanField(default=False)),
                ('limit_hits', models.PositiveIntegerField(default=0)),
                ('limit_since', models.DateTimeField(blank=True, null=True)),
                ('disabled_reason', models.CharField(blank=True, max_length=200)),
                ('created_at', models.DateTimeField(default=regulars.base.clock.now)),
                ('updated_at', models.DateTimeField(default=regulars.base.clock.now)),
            ],
            options={
                'ordering': ['order', 'id'],
            },
        ),
        migrations.CreateModel(
            name='RuleSetting',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(max_length=127, unique=True)),
                ('value', regulars.base.db.encrypted.EncryptedJSONField(default=str)),
            ],
        ),
        migrations.CreateModel(
            name='RuleRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('moment', models.CharField(max_length=32)),
                ('at', models.DateTimeField(db_index=True, default=regulars.base.clock.now)),
                ('milliseconds', models.FloatField()),
                ('steps', models.JSONField(default=list)),
                ('effects', models.JSONField(default=dict)),
                ('inputs', regulars.base.db.encrypted.EncryptedJSONField(blank=True, null=True)),
                ('profile', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='rule_runs', to='profiles.profile')),
            ],
        ),
    ]
