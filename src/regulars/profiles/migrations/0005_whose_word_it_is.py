"""Fill in who asserted the facts and identities of before, by kind and source: see `profiles.assertions.asserter_of`."""

from django.db import migrations
from django.utils import timezone

PORTION = 5000
# Frozen here: a migration means the same for ever.
BY_PREFIX = {"staff": "staff", "rule": "rule", "source": "lookup", "app": "app_token"}


def asserter_of(source_kind, source):
    prefix = source.partition(":")[0]
    if source_kind == "observed":
        return "public_key"  # every key was public then
    if source_kind == "imported":
        return "import"
    if source == "app:signin" and source_kind == "verified":
        return "customer_fresh"
    if source in ("customer", "app:signin") or prefix == "question" or source.count(":") > 1:
        return "customer"
    if prefix in BY_PREFIX:
        return BY_PREFIX[prefix]
    if source_kind in ("corrected", "declared"):
        return "customer"
    if source_kind in ("enriched", "inferred"):
        return "lookup"
    return "provider_vouching" if source_kind == "verified" else "provider"


def who_named(provider):
    if provider in ("anonymous", "external"):
        return "public_key"
    return "customer_fresh" if provider == "auth0" else "provider_vouching"


def in_portions(rows, field, names, asserter):
    """Update rows portion by portion, in ascending order of ids, with one statement per asserter and portion."""
    last = 0
    while portion := list(rows.filter(pk__gt=last).order_by("pk").values_list("pk", *names)[:PORTION]):
        by_asserter = {}
        for pk, *values in portion:
            by_asserter.setdefault(asserter(*values), []).append(pk)
        for name, ids in by_asserter.items():
            for start in range(0, len(ids), 500):
                rows.filter(pk__in=ids[start : start + 500]).update(**{field: name})
        last = portion[-1][0]


def fill(apps, schema_editor):
    Fact, Identity = apps.get_model("profiles", "Fact"), apps.get_model("profiles", "Identity")
    in_portions(Fact.objects.filter(asserter=""), "asserter", ("source_kind", "source"), asserter_of)
    in_portions(Identity.objects.filter(asserted_by=""), "asserted_by", ("provider",), who_named)
    if Fact.objects.filter(asserter="public_key", retracted_at=None).exists():
        # Documents and views still show what a public key said as if it were believed.
        apps.get_model("jobs", "Job").objects.create(
            kind="profiles.lower_public_keys", payload={"after": 0}, due_at=timezone.now()
        )


class Migration(migrations.Migration):
    atomic = False  # a portion at a time: other writers of a large installation do not wait for all of it

    dependencies = [("profiles", "0004_asserters"), ("jobs", "0001_initial")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop, elidable=True)]
