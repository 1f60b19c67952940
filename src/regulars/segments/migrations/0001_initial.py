import django.db.models.deletion
import regulars.base.clock
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('consent', '0001_initial'),
        ('profiles', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Segment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('slug', models.SlugField(max_length=64, unique=True)),
                ('name', models.CharField(max_length=128)),
                ('description', models.TextField(blank=True)),
                ('text', models.TextField()),
                ('created_at', models.DateTimeField(default=regulars.base.clock.now)),
                ('purpose', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='consent.purpose')),
                ('saved_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='Membership',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('state', models.CharField(choices=[('in', 'In'), ('unknown', 'Unknown'), ('out', 'Out')], max_length=8)),
                ('since', models.DateTimeField(default=regulars.base.clock.now)),
                ('profile', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='memberships', to='profiles.profile')),
                ('segment', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='memberships', to='segments.segment')),
            ],
            options={
                'indexes': [models.Index(fields=['segment', 'state', 'profile'], name='segments_me_segment_5106d9_idx')],
                'constraints': [models.UniqueConstraint(fields=('segment', 'profile'), name='one_standing_per_segment')],
            },
        ),
    ]
