from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('proofs', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='emailcode',
            name='asker',
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.AddField(
            model_name='emailcode',
            name='asker_is_known',
            field=models.BooleanField(default=False),
        ),
    ]
