"""Every writer of what processes cache makes a new version, and no cache reads anything else."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from django.db import connection, models, transaction
from django.test.utils import CaptureQueriesContext

import regulars
from regulars.base import clock
from regulars.base.configuration import versioned_cache
from regulars.base.configuration.models import ConfigurationVersion, versioned_models
from regulars.base.configuration.triggers import create_triggers
from regulars.base.configuration.versioned_cache import VersionedCache, current_version, one_version
from regulars.base.db.compiled_query import CompiledUpdate, param
from regulars.base.tokens.models import SigningKey
from regulars.clients import cache
from regulars.clients.models import Client, ClientGrant, ResourceServer
from regulars.consent.models import Purpose
from regulars.events.models import Source
from regulars.profiles.models import Attribute
from regulars.rules.models import UndeclaredRules


def _grant(number: int) -> ClientGrant:
    api = ResourceServer.objects.get_or_create(identifier="https://orders.example/")[0]
    return ClientGrant(client=Client.objects.create(client_id=f"grantee-{number}"), resource_server=api)


def _undeclared(number: int) -> UndeclaredRules:
    _purpose("another")
    return UndeclaredRules(purpose=_purpose(f"purpose-{number}"))


def _purpose(key: str) -> Purpose:
    return Purpose.objects.get_or_create(key=key, defaults={"label": key, "text": key})[0]


# A row of each, unsaved, and a field that can be changed.
SAMPLES: dict[type[models.Model], tuple[Callable[[int], models.Model], str, object]] = {
    Client: (lambda number: Client(client_id=f"app-{number}"), "secret_hash", "another"),
    ResourceServer: (lambda number: ResourceServer(identifier=f"https://{number}.example/"), "token_lifetime", 60),
    ClientGrant: (_grant, "scopes", ["read:users"]),
    SigningKey: (
        lambda number: SigningKey(kid=f"key-{number}", private_pem="", state="retired"),
        "retired_at",
        clock.now(),
    ),
    Source: (lambda number: Source(name="Shop", slug=f"shop-{number}"), "enabled", False),
    UndeclaredRules: (_undeclared, "purpose_id", "another"),
    Attribute: (lambda number: Attribute(key=f"shoe-{number}", label="Shoe"), "metadata_path", "user_metadata.shoe"),
}


def _update(model: type[models.Model], field: str, value: object) -> Callable[[], object]:
    column: models.Field = model._meta.get_field(field)
    write = CompiledUpdate(lambda: (model.objects.all(), {field: param("value", column)}))
    return lambda: write(value=value)


def writers(model: type[models.Model]) -> dict[str, Callable[[], object]]:
    """Return every way of writing that Django and this code have, in an order in which each finds a row."""
    make, field, value = SAMPLES[model]
    table, column = (connection.ops.quote_name(name) for name in (model._meta.db_table, model._meta.pk.column))
    rows = [make(number) for number in range(5)]
    assert len(rows) == 5

    def save_again() -> None:
        setattr(rows[0], field, value)
        rows[0].save()

    def by_sql() -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {table} WHERE {column} = %s", [rows[2].pk])

    return {
        "save a new row": rows[0].save,
        "save a row again": save_again,
        "bulk_create": lambda: model.objects.bulk_create(rows[1:4]),
        "bulk_create with ignored conflicts": lambda: model.objects.bulk_create(rows[4:], ignore_conflicts=True),
        "bulk_update": lambda: model.objects.bulk_update(rows[:1], [field]),
        "update": lambda: model.objects.filter(pk=rows[1].pk).update(**{field: value}),
        "a compiled update": _update(model, field, value),
        "delete of a row": rows[0].delete,
        "delete of a queryset": lambda: model.objects.filter(pk=rows[1].pk).delete(),
        "plain SQL": by_sql,
    }


def test_every_versioned_model_has_a_sample():
    assert set(SAMPLES) == set(versioned_models)


@pytest.mark.django_db
@pytest.mark.parametrize("model", SAMPLES, ids=lambda model: model.__name__)
def test_every_writer_makes_a_new_version(model):
    seen = [current_version()]
    for name, write in writers(model).items():
        seen.append(current_version())
        write()
        assert current_version() not in seen, name


@pytest.mark.django_db
def test_rows_that_fall_with_another_make_a_new_version():
    grant = _grant(1)
    grant.save()
    before = current_version()

    grant.client.delete()

    assert not ClientGrant.objects.exists()
    assert current_version() != before


@pytest.mark.django_db(transaction=True)
def test_a_change_that_is_rolled_back_leaves_version_and_cache():
    Client.objects.create(client_id="shop", name="Shop")
    before = current_version()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        Client.objects.filter(pk="shop").update(name="Other")
        Client.objects.create(client_id="new")
        seen = [cache.find_client("shop").name, cache.find_client("new").pk]
        1 / 0  # noqa: B018

    assert seen == ["Other", "new"]
    assert current_version() == before
    assert cache.find_client("shop").name == "Shop"
    assert cache.find_client("new") is None


@pytest.mark.django_db(transaction=True)
def test_what_a_request_wrote_and_rolled_back_is_not_kept():
    """The request has read the version before it wrote."""
    Client.objects.create(client_id="shop")
    with one_version():
        cache.find_client("shop")
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            Client.objects.create(client_id="new")
            cache.find_client("new")
            1 / 0  # noqa: B018

    assert cache.find_client("new") is None


@pytest.mark.django_db(transaction=True)
def test_an_unchanged_configuration_costs_one_read_in_a_request(django_assert_num_queries, monkeypatch):
    Client.objects.create(client_id="shop")
    cache.find_client("shop")

    versions: list[int | None] = []

    def read() -> int | None:
        versions.append(read_version())
        return versions[-1]

    read_version = versioned_cache._read_version
    monkeypatch.setattr(versioned_cache, "_read_version", read)
    with django_assert_num_queries(0), one_version():
        assert [cache.find_client("shop").pk for _ in range(3)] == ["shop"] * 3
    assert len(versions) == 1


@pytest.mark.django_db(transaction=True)
def test_what_was_loaded_before_a_change_and_kept_after_it_is_not_used():
    """Two threads of one process: the slower one read the row before the change."""
    Client.objects.create(client_id="shop", name="Shop")
    with one_version():
        assert current_version()
        old = Client.objects.get(pk="shop")
        Client.objects.filter(pk="shop").update(name="Other")
        cache.find_client._keep(current_version(), "shop", old)

    assert cache.find_client("shop").name == "Other"


@pytest.mark.django_db(transaction=True)
def test_triggers_are_there_again_after_a_column_was_changed():
    """SQLite makes a new table for that, and drops the old one with its triggers."""
    old = Client._meta.get_field("name")
    new = models.CharField(max_length=120)
    new.set_attributes_from_name("name")
    new.model = Client
    for before, after in ((old, new), (new, old)):
        with connection.constraint_checks_disabled(), connection.schema_editor() as editor:
            editor.alter_field(Client, before, after)
        create_triggers(connection.alias)

    for name, write in writers(Client).items():
        before_write = current_version()
        write()
        assert current_version() != before_write, name


@pytest.mark.django_db(transaction=True)
def test_without_a_version_nothing_is_cached():
    Client.objects.create(client_id="shop", name="Shop")
    ConfigurationVersion.objects.all().delete()
    cache.find_client("shop")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE clients_client SET name = 'Other'")
    ConfigurationVersion.objects.all().delete()

    assert cache.find_client("shop").name == "Other"


@pytest.mark.django_db(transaction=True)
def test_upgraded_installation_caches_before_its_first_change(django_assert_num_queries):
    """Its rows are older than the triggers."""
    Client.objects.create(client_id="shop", name="Shop")
    ConfigurationVersion.objects.all().delete()

    create_triggers(connection.alias)

    first = current_version()
    assert first is not None
    cache.find_client("shop")
    with django_assert_num_queries(0):  # but that of the version, which Django does not see
        assert cache.find_client("shop").name == "Shop"
    create_triggers(connection.alias)
    assert current_version() == first


def _sources() -> dict[str, str]:
    root = Path(regulars.__path__[0])
    found = {".".join(path.relative_to(root.parent).with_suffix("").parts): path for path in root.rglob("*.py")}
    return {name: path.read_text() for name, path in found.items()}


KEYS: dict[int, object] = {
    id(cache.find_api): "https://orders.example/",
    id(cache.find_api_access): ("grantee-1", "https://orders.example/"),
}


@pytest.mark.django_db
def test_caches_read_only_tables_whose_changes_make_a_new_version():
    modules = [import_module(name) for name, text in _sources().items() if re.search(r"= VersionedCache\(", text)]
    caches = [each for module in modules for each in vars(module).values() if type(each) is VersionedCache]
    assert len(caches) >= 5
    _grant(1).save()
    ConfigurationVersion.objects.all().delete()  # so that nothing is cached
    tables = set(connection.introspection.table_names()) - {ConfigurationVersion._meta.db_table}
    for each in caches:
        with CaptureQueriesContext(connection) as queries:
            each(KEYS.get(id(each), "shop"))
        read = {table for table in tables for query in queries if f'"{table}"' in query["sql"]}
        assert read
        assert read <= {model._meta.db_table for model in each.reads}


# `_load` is called with the id of a row that no one changes: each fit stores a new row.
IMMUTABLE = {("regulars.questions.answer_model", "_load")}


def test_no_other_cache_of_a_process_holds_rows():
    """`lru_cache` and `cache` are for what depends on its arguments only."""
    cached = {
        (name, node.name): ast.unparse(node)
        for name, text in _sources().items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef)
        and any(re.match(r"(functools\.)?(lru_)?cache\b", ast.unparse(each)) for each in node.decorator_list)
    }
    assert len(cached) > 10

    assert {place for place, code in cached.items() if re.search(r"\.objects\b|CompiledQuery", code)} == IMMUTABLE
