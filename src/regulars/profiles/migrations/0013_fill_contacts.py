"""Write the form by which holders of an e-mail address or a phone number are found on the facts that are stored."""

from django.db import migrations
from django.db.models import Max

from regulars.profiles.contacts import contact_of

PORTION = 10_000


def fill(apps, schema_editor):
    facts = apps.get_model("profiles", "Fact").objects
    last = facts.aggregate(last=Max("pk"))["last"] or 0
    for start in range(0, last + 1, PORTION):
        named = facts.filter(pk__gte=start, pk__lt=start + PORTION, attribute__in=("email", "phone_number"))
        held = list(named.only("pk", "attribute", "value", "contact"))
        for fact in held:
            fact.contact = contact_of(fact.attribute, fact.value)
        facts.bulk_update([fact for fact in held if fact.contact], ["contact"], batch_size=500)


class Migration(migrations.Migration):
    dependencies = [("profiles", "0012_contacts")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
