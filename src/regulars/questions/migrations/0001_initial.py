import django.db.models.deletion
import regulars.base.clock
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('consent', '0001_initial'),
        ('profiles', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='AnswerModel',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('made_at', models.DateTimeField(default=regulars.base.clock.now)),
                ('in_use', models.BooleanField(default=False)),
                ('columns', models.JSONField(default=list)),
                ('mixture', models.JSONField(default=dict)),
                ('rates', models.JSONField(default=dict)),
                ('rows', models.PositiveIntegerField(default=0)),
                ('held_out', models.FloatField(null=True)),
                ('why', models.CharField(blank=True, max_length=64)),
            ],
        ),
        migrations.CreateModel(
            name='QuestionSettings',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('asking', models.BooleanField(default=True)),
                ('days_between', models.PositiveIntegerField(default=1)),
                ('min_logins', models.PositiveIntegerField(default=0)),
                ('most_in_30_days', models.PositiveIntegerField(default=3)),
                ('quiet_after_passes', models.PositiveIntegerField(default=2)),
                ('quiet_days', models.PositiveIntegerField(default=60)),
                ('pass_days', models.PositiveIntegerField(default=30)),
                ('shows', models.PositiveIntegerField(default=3)),
                ('declined_days', models.PositiveIntegerField(default=365)),
                ('adult_age', models.PositiveIntegerField(default=16)),
                ('pace', models.FloatField(default=0.075)),
                ('control_share', models.FloatField(default=0.05)),
                ('explore_share', models.FloatField(default=0.1)),
                ('one_more', models.PositiveSmallIntegerField(default=0)),
                ('measure_from', models.PositiveIntegerField(default=2000)),
                ('priors', models.JSONField(blank=True, default=dict)),
            ],
        ),
        migrations.CreateModel(
            name='Question',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.SlugField(max_length=64, unique=True)),
                ('version', models.PositiveIntegerField(default=1)),
                ('locale', models.CharField(default='en', max_length=16)),
                ('text', models.CharField(max_length=200)),
                ('why', models.CharField(max_length=140)),
                ('help', models.CharField(blank=True, max_length=200)),
                ('confirm', models.CharField(blank=True, max_length=200)),
                ('type', models.CharField(max_length=64)),
                ('options', models.JSONField(blank=True, default=list)),
                ('old_options', models.JSONField(blank=True, default=list)),
                ('translations', models.JSONField(blank=True, default=dict)),
                ('variants', models.JSONField(blank=True, default=list)),
                ('attribute', models.CharField(max_length=128)),
                ('weight', models.FloatField(default=1.0)),
                ('audience', models.TextField(blank=True)),
                ('not_before_logins', models.PositiveIntegerField(default=0)),
                ('not_before_days', models.PositiveIntegerField(default=0)),
                ('quota', models.PositiveIntegerField(blank=True, null=True)),
                ('may_decline', models.BooleanField(default=False)),
                ('may_not_know', models.BooleanField(default=False)),
                ('enabled', models.BooleanField(default=False)),
                ('created_at', models.DateTimeField(default=regulars.base.clock.now)),
                ('purpose', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='consent.purpose')),
            ],
        ),
        migrations.CreateModel(
            name='Impression',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('version', models.PositiveIntegerField()),
                ('variant', models.CharField(blank=True, max_length=32)),
                ('day', models.DateField()),
                ('shown_at', models.DateTimeField(default=regulars.base.clock.now)),
                ('outcome', models.CharField(choices=[('shown', 'Shown'), ('answered', 'Answered'), ('passed', 'Passed'), ('never', 'Never'), ('declined', 'Declined'), ('dont_know', 'Dont Know')], default='shown', max_length=16)),
                ('closed_at', models.DateTimeField(blank=True, null=True)),
                ('words', models.TextField()),
                ('to_confirm', models.JSONField(blank=True, null=True)),
                ('locale', models.CharField(default='en', max_length=16)),
                ('client_id', models.CharField(blank=True, max_length=64)),
                ('value', models.FloatField(default=0.0)),
                ('chance', models.FloatField(default=0.5)),
                ('probability', models.FloatField(default=1.0)),
                ('explored', models.BooleanField(default=False)),
                ('explanation', models.JSONField(default=dict)),
                ('after', models.JSONField(default=dict)),
                ('bits', models.FloatField(blank=True, null=True)),
                ('follows', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='followed_by', to='questions.impression')),
                ('profile', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='impressions', to='profiles.profile')),
                ('question', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='impressions', to='questions.question')),
            ],
        ),
        migrations.CreateModel(
            name='SelectionDecision',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(db_index=True, default=regulars.base.clock.now)),
                ('client_id', models.CharField(blank=True, max_length=64)),
                ('reason', models.CharField(max_length=32)),
                ('probability', models.FloatField(default=1.0)),
                ('rejections', models.JSONField(default=dict)),
                ('candidates', models.JSONField(default=dict)),
                ('price', models.FloatField(default=0.0)),
                ('policy', models.CharField(blank=True, max_length=64)),
                ('impression', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='questions.impression')),
                ('profile', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='selection_decisions', to='profiles.profile')),
            ],
        ),
        migrations.CreateModel(
            name='Target',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('slug', models.SlugField(max_length=64, unique=True)),
                ('text', models.TextField()),
                ('weight', models.FloatField(default=1.0)),
                ('purpose', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='consent.purpose')),
            ],
        ),
        migrations.CreateModel(
            name='PriorityBoost',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('weight', models.FloatField()),
                ('until', models.DateTimeField()),
                ('profile', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='profiles.profile')),
                ('question', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='boosts', to='questions.question')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('question', 'profile'), name='one_boost_per_question')],
            },
        ),
        migrations.AddIndex(
            model_name='impression',
            index=models.Index(fields=['question', 'shown_at'], name='questions_i_questio_6f5b2a_idx'),
        ),
        migrations.AddConstraint(
            model_name='impression',
            constraint=models.UniqueConstraint(condition=models.Q(('follows', None)), fields=('profile', 'day'), name='one_impression_per_customer_and_day'),
        ),
        migrations.AddIndex(
            model_name='selectiondecision',
            index=models.Index(fields=['profile', 'at'], name='questions_s_profile_58173a_idx'),
        ),
    ]
