"""Write the form by which holders of an e-mail address or a phone number are found on the facts that are stored."""

from django.db import migrations, transaction

from regulars.profiles.contacts import contact_of

PORTION = 5000


def fill(apps, schema_editor):
    database, Fact = schema_editor.connection, apps.get_model("profiles", "Fact")
    table, column = (database.ops.quote_name(name) for name in (Fact._meta.db_table, "contact"))
    named = Fact.objects.filter(attribute__in=("email", "phone_number")).order_by("pk").only("attribute", "value")
    last = 0
    while portion := list(named.filter(pk__gt=last)[:PORTION]):
        found = ((contact_of(fact.attribute, fact.value), fact.pk) for fact in portion)
        # One plain statement for each row: Django's bulk update takes a hundred times as long.
        with transaction.atomic(database.alias), database.cursor() as cursor:
            cursor.executemany(f"UPDATE {table} SET {column} = %s WHERE id = %s", [each for each in found if each[0]])  # noqa: S608 - names of our own
        last = portion[-1].pk


class Migration(migrations.Migration):
    atomic = False  # a portion at a time; it may be broken off and run again

    dependencies = [("profiles", "0012_contacts")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
