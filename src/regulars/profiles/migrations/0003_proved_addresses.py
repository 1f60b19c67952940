"""Record with the account which addresses count as verified: before, a mailed code wrote the claim alone."""

from django.db import migrations
from django.db.models.functions import Coalesce

PORTION = 1000


def record_proved_addresses(apps, schema_editor):
    profiles = apps.get_model("profiles", "Profile")
    addresses = apps.get_model("account", "EmailAddress")
    rows = profiles.objects.exclude(account=None).exclude(account__email="").order_by("pk")
    last = 0
    while portion := list(
        rows.filter(pk__gt=last)
        .annotate(known=Coalesce("merged_into__document", "document"))
        .values_list("pk", "account", "account__email", "known")[:PORTION]
    ):
        last = portion[-1][0]
        proved = {
            account: email.lower()
            for _, account, email, known in portion
            if known.get("email_verified") is True and str(known.get("email", "")).lower() == email.lower()
        }
        taken = set(addresses.objects.filter(verified=True, email__in=proved.values()).values_list("email", flat=True))
        todo = {account: email for account, email in proved.items() if email not in taken}
        addresses.objects.filter(user__in=todo, primary=True).delete()
        addresses.objects.filter(user__in=todo, email__in=todo.values()).delete()
        addresses.objects.bulk_create(
            [
                addresses(user_id=account, email=email, primary=True, verified=True)
                for email, account in {email: account for account, email in todo.items()}.items()
            ]
        )


class Migration(migrations.Migration):
    dependencies = [
        ("account", "0009_emailaddress_unique_primary_email"),
        ("profiles", "0002_crowded_profiles"),
    ]

    operations = [migrations.RunPython(record_proved_addresses, migrations.RunPython.noop, elidable=False)]
