import django.db.models.deletion
import regulars.base.clock
import regulars.base.db.encrypted
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('consent', '0001_initial'),
        ('destinations', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='DestinationVersion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=128)),
                ('settings', regulars.base.db.encrypted.EncryptedJSONField(default=dict)),
                ('since', models.DateTimeField(default=regulars.base.clock.now)),
                ('destination', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='versions', to='destinations.destination')),
                ('purpose', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='consent.purpose')),
            ],
        ),
        migrations.AddField(
            model_name='destination',
            name='current_version',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='destinations.destinationversion'),
        ),
        migrations.AddField(
            model_name='disclosure',
            name='version',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='disclosures', to='destinations.destinationversion'),
        ),
    ]
