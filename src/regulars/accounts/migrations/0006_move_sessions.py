"""Move Django's sessions into the table that names their accounts. Every browser stays signed in."""

from django.contrib.sessions.serializers import JSONSerializer
from django.core import signing
from django.db import migrations, transaction

from regulars.accounts.session_contents import account_in, words_in

PORTION = 1000
SALT = "django.contrib.sessions.SessionStore"


def read(encoded):
    """Return the contents of a session. None: it cannot be opened any more."""
    try:
        return signing.loads(encoded, salt=SALT, serializer=JSONSerializer)
    except Exception:  # as Django's own reader: whatever is wrong with it, it is empty
        return None


def move_sessions(apps, schema_editor):
    old, new = apps.get_model("sessions", "Session").objects, apps.get_model("accounts", "StoredSession")
    accounts = apps.get_model("accounts", "Account").objects
    last = ""
    while portion := list(old.filter(session_key__gt=last).order_by("session_key")[:PORTION]):
        last = portion[-1].session_key
        contents = {row.session_key: read(row.session_data) for row in portion}
        owners = {key: account_in(data) for key, data in contents.items() if data is not None}
        with transaction.atomic():
            known = set(accounts.filter(pk__in=set(owners.values()) - {None}).values_list("pk", flat=True))
            new.objects.bulk_create(
                [
                    new(
                        session_key=row.session_key,
                        session_data=row.session_data,
                        expire_date=row.expire_date,
                        account_id=owners[row.session_key],
                        words=words_in(contents[row.session_key]),
                    )
                    for row in portion
                    if row.session_key in owners and owners[row.session_key] in known | {None}
                ],
                ignore_conflicts=True,
            )
            old.filter(session_key__in=contents).delete()


class Migration(migrations.Migration):
    atomic = False  # a portion at a time; it may be broken off and run again

    dependencies = [("accounts", "0005_stored_session"), ("sessions", "0001_initial")]
    operations = [migrations.RunPython(move_sessions, migrations.RunPython.noop, elidable=True)]
