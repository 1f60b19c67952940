"""Write the domain of every stored e-mail address in ASCII: each address has one form from here on.

Where two accounts have one address in two spellings, the later spelling stays as it is. `regulars doctor` names them.
"""

import logging

from django.db import migrations
from django.db.models.functions import Lower

from regulars.base.email_address import canonical_domain, canonical_email

PORTION = 1000
log = logging.getLogger("regulars.accounts")


def portions(rows, *fields):
    """Yield lists of (pk, *fields) in the order of the key."""
    last = 0
    while portion := list(rows.filter(pk__gt=last).order_by("pk").values_list("pk", *fields)[:PORTION]):
        last = portion[-1][0]
        yield portion


def write_accounts(apps, schema_editor):
    accounts, addresses = apps.get_model("accounts", "Account"), apps.get_model("account", "EmailAddress")
    for portion in portions(accounts.objects.exclude(email=""), "email", "is_staff"):
        for number, email, is_staff in portion:
            canonical = canonical_email(email)
            if canonical == email:
                continue
            others = accounts.objects.exclude(pk=number).alias(lower=Lower("email"))
            rows = addresses.objects.exclude(user=number).filter(email=canonical.lower(), verified=True)
            if others.filter(lower=canonical.lower(), is_staff=is_staff).exists() or rows.exists():
                log.warning("account %s keeps its address: another account has it in another spelling", number)
                continue
            accounts.objects.filter(pk=number).update(email=canonical)
            addresses.objects.filter(user=number, email=canonical.lower()).delete()
            addresses.objects.filter(user=number, email=email.lower()).update(email=canonical.lower())


def write_facts(apps, schema_editor):
    facts, profiles = apps.get_model("profiles", "Fact"), apps.get_model("profiles", "Profile")
    views = apps.get_model("consent", "PermittedView")
    for portion in portions(facts.objects.filter(attribute="email"), "value", "profile"):
        changed = set()
        for number, email, profile in portion:
            if isinstance(email, str) and canonical_email(email) != email:
                facts.objects.filter(pk=number).update(value=canonical_email(email))
                changed.add(profile)
        for profile in profiles.objects.filter(pk__in=changed):
            profile.document = in_document(profile.document)
            profile.terms = in_terms(profile.terms)
            profile.save(update_fields=["document", "terms"])
        for view in views.objects.filter(profile__in=changed):
            view.traits, view.terms, view.lake_at = in_document(view.traits), in_terms(view.terms), None
            view.by_place = {place: in_document(differs) for place, differs in view.by_place.items()}
            view.save(update_fields=["traits", "terms", "by_place", "lake_at"])


def in_document(document):
    email = document.get("email")
    return {**document, "email": canonical_email(email)} if isinstance(email, str) else document


def in_terms(terms):
    """Terms are `s:` and the text."""
    changed = {
        "email": lambda text: canonical_email(text).lower(),
        "email.domain": canonical_domain,
    }
    return {
        **terms,
        **{path: ["s:" + write(each[2:]) for each in terms[path]] for path, write in changed.items() if path in terms},
    }


class Migration(migrations.Migration):
    dependencies = [
        ("account", "0009_emailaddress_unique_primary_email"),
        ("accounts", "0002_attempts_under_way"),
        ("consent", "0004_views_by_place"),
        ("profiles", "0006_identity_conflicts"),
    ]

    operations = [
        migrations.RunPython(write_accounts, migrations.RunPython.noop, elidable=False),
        migrations.RunPython(write_facts, migrations.RunPython.noop, elidable=False),
    ]
