"""Give each address to one account: to the oldest that signs in with it, or else to the oldest that has it.

Further accounts with one address, from before the database refused them, stay as they are and hold none: each goes on
signing in, and doctor names them (`address_twice`).
"""

from django.db import migrations, transaction

from regulars.base.email_address import address_key

PORTION = 5000


def hold(apps, schema_editor):
    Account, Profile = apps.get_model("accounts", "Account"), apps.get_model("profiles", "Profile")
    database = schema_editor.connection
    have_one = Account.objects.using(database.alias).filter(is_staff=False, address_key=None).exclude(email="")
    sign_in = Profile.objects.using(database.alias).filter(user_id__startswith="auth0|", account__isnull=False)
    for accounts in (have_one.filter(pk__in=sign_in.values("account")), have_one):
        last = 0
        while portion := list(accounts.filter(pk__gt=last).order_by("pk").only("pk", "email")[:PORTION]):
            last = portion[-1].pk
            by_key = {}
            for account in portion:
                by_key.setdefault(address_key(account.email), account)
            taken = set()
            keys = list(by_key)
            for start in range(0, len(keys), 500):
                held = Account.objects.using(database.alias).filter(address_key__in=keys[start : start + 500])
                taken.update(held.values_list("address_key", flat=True))
            changed = []
            for key, account in by_key.items():
                if key and key not in taken:
                    account.address_key = key
                    changed.append(account)
            with transaction.atomic(database.alias):
                Account.objects.using(database.alias).bulk_update(changed, ["address_key"], batch_size=200)


class Migration(migrations.Migration):
    atomic = False  # a portion at a time; it may be broken off and run again

    dependencies = [("profiles", "0017_names_of_others"), ("accounts", "0004_address_key")]
    operations = [migrations.RunPython(hold, migrations.RunPython.noop)]
