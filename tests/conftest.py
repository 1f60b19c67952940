"""The cast: Ana owns the shop, Bruno works there, Chika is a customer, Dov is a customer somewhere else."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

from tests.mock_services import mock_services
from tests.partners import all_partners, partners
from tests.tables import forget_tables
from tests.workers import OneServerEach, longest_first

__all__ = ["all_partners", "mock_services", "partners"]  # fixtures

# Settings are read on import, so the test home must be set before Django is set up; pytest-django would do that before
# this file is read if pyproject.toml named the settings.
os.environ["DJANGO_SETTINGS_MODULE"] = "regulars.settings"
if "REGULARS_HOME" not in os.environ:
    os.environ["REGULARS_HOME"] = tempfile.mkdtemp(prefix="regulars-test-")  # of the workers too, which inherit it
    atexit.register(shutil.rmtree, os.environ["REGULARS_HOME"], ignore_errors=True)
os.environ.setdefault("REGULARS_SECRET_KEY", "only for tests")
os.environ.setdefault("REGULARS_DEMO", "1")
# Playwright runs an event loop in its thread, which Django takes for asynchronous code.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
# Nothing listens there, so no test uses the public registry of npm.
os.environ["NPM_CONFIG_REGISTRY"] = "http://127.0.0.1:9/"
# The commands and servers of the tests are hundreds of processes; without byte code each compiles every module again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import django
import hypothesis
import pytest

django.setup()
# On a busy machine an example may take longer than the default deadline of hypothesis.
hypothesis.settings.register_profile("suite", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("suite")

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM_OPTIONS = [
    "--no-sandbox",  # CI runs as root
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DATABASE_FIXTURES = {"db", "transactional_db", "live_server", "engine"}  # engine: of base/conditions
HASH_COSTS = ("time_cost", "memory_cost", "parallelism")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name no test by bytes: packed ones hold the time of packing, and every process of xdist must find the same names."""
    return argname if isinstance(val, bytes) else None


def pytest_configure(config: pytest.Config) -> None:
    """Compile message catalogues that changed since the set-up. The processes of xdist find them compiled."""
    # Commands refuse a folder without an installation; the tables of the tests are elsewhere.
    (Path(os.environ["REGULARS_HOME"]) / "regulars.sqlite3").touch()
    if not hasattr(config, "workerinput"):
        root = Path(__file__).parents[1]
        subprocess.run(["bash", "-euc", "source scripts/lib/setup.sh; compile_catalogues"], cwd=root, check=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not hasattr(session.config, "workerinput"):
        forget_tables()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> OneServerEach:
    return OneServerEach(config, log)


@pytest.hookimpl(trylast=True)  # after Django's plug-in, which has an order of its own
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run only tests with a database on PostgreSQL, on whose results it bears, and long ones where they are asked for."""
    if hasattr(config, "workerinput"):
        longest_first(items)
    if "long" not in config.option.markexpr:
        _deselect(config, items, [item for item in items if item.get_closest_marker("long")])
    if not os.environ.get("DATABASE_URL", "").startswith("postgres"):
        return
    _deselect(config, items, [item for item in items if not _uses_database(item)])


def _deselect(config: pytest.Config, items: list[pytest.Item], unwanted: list[pytest.Item]) -> None:
    config.hook.pytest_deselected(items=unwanted)
    dropped = set(unwanted)
    items[:] = [item for item in items if item not in dropped]


def _uses_database(item: pytest.Item) -> bool:
    if item.get_closest_marker("any_database"):
        return False
    marked = any(item.get_closest_marker(name) for name in ("django_db", "own_database", "server", "browser"))
    return marked or bool(DATABASE_FIXTURES.intersection(getattr(item, "fixturenames", ())))


@pytest.fixture(scope="session", autouse=True)
def _only_filled_tables_are_emptied() -> Iterator[None]:
    """After a test with transactions of its own delete the few rows that it left.

    Django's TRUNCATE gives each of a hundred tables and their indexes new files on PostgreSQL, a quarter of a second.
    """
    from django.db.backends.postgresql.operations import DatabaseOperations

    def sql_flush(ops: DatabaseOperations, style: object, tables: list[str], **options: bool) -> list[str]:
        named = [ops.quote_name(table) for table in tables]
        looks = [f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM {name})" for name in named]
        if not looks:
            return []
        with ops.connection.cursor() as cursor:
            cursor.execute(" UNION ALL ".join(looks))
            return [f"DELETE FROM {name}" for (name,) in cursor.fetchall()]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "sql_flush", sql_flush)
        yield


@pytest.fixture(scope="session", autouse=True)
def _hashes_cost_nothing() -> dict[str, int]:
    """Make password hashes cheap, because a real one takes longer than most tests. Returns the real cost."""
    from regulars.accounts.passwords import PasswordHasher

    real = {name: getattr(PasswordHasher, name) for name in HASH_COSTS}
    PasswordHasher.time_cost, PasswordHasher.memory_cost, PasswordHasher.parallelism = 1, 8, 1
    return real


@pytest.fixture
def a_real_hash(_hashes_cost_nothing: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore the cost of password hashes, for tests about it."""
    from regulars.accounts.passwords import PasswordHasher

    for name, value in _hashes_cost_nothing.items():
        monkeypatch.setattr(PasswordHasher, name, value)


@pytest.fixture(scope="session")
def _two_keys() -> list[tuple[str, str]]:
    """Id and PEM of two signing keys, which take a fifth of a second to generate."""
    from regulars.base.tokens import keys

    return [(key.kid, key.private_pem) for key in (keys.new_key("current"), keys.new_key("next"))]


@pytest.fixture(autouse=True)
def _first_keys(_two_keys: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Reuse two signing keys for the first two of every test in a process."""
    from regulars.base.tokens import keys
    from regulars.base.tokens.models import SigningKey

    ready, really_new = list(_two_keys), keys.new_key

    def new_key(state: str) -> SigningKey:
        try:
            kid, pem = ready.pop()
        except IndexError:
            return really_new(state)
        return SigningKey(kid=kid, private_pem=pem, state=state)

    monkeypatch.setattr(keys, "new_key", new_key)


@pytest.fixture(autouse=True)
def _frozen_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the clock of attempt limits and authenticator codes at the next full hour.

    Both use windows of time, and no test may cross the end of one.
    """
    from allauth.mfa.totp.internal import auth as totp

    from regulars.accounts import rate_limits

    full_hour = (int(time.time()) // 3600 + 1) * 3600
    for module in (totp, rate_limits):
        monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: full_hour))


@pytest.fixture(autouse=True)
def _rules_have_time(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a rule run for a minute, so that a busy machine stops none. Loops still end by the processor time of the limits.

    Tests of the time itself have the marker `rule_wall_time`.
    """
    from regulars.rules.sandbox.realm import Realm

    if request.node.get_closest_marker("rule_wall_time"):
        return
    begin = Realm.begin

    def begin_with_time(realm: Realm) -> None:
        realm.limits = replace(realm.limits, wall=60.0)
        begin(realm)

    monkeypatch.setattr(Realm, "begin", begin_with_time)


@pytest.fixture
def standard_setup(db: None) -> None:
    """Create the standard attributes and purposes, as a first start does."""
    from regulars.consent.purposes import ensure_standard_purposes
    from regulars.profiles.attributes import ensure_standard_attributes

    ensure_standard_attributes()
    ensure_standard_purposes()


@pytest.fixture
def chika(standard_setup: None):
    from regulars.profiles.find import get_or_create_by_identity

    profile, _ = get_or_create_by_identity("google-oauth2", "1001", connection="google-oauth2", is_social=True)
    return profile


@pytest.fixture
def make_customer(standard_setup):
    """Return a function that makes a customer: events as (name, properties), attributes by keyword, purposes consented to."""
    from regulars.consent.record import Decision, record
    from regulars.consent.refresh import refresh_views
    from regulars.events.record import record as record_event
    from regulars.profiles.find import get_or_create_by_identity
    from regulars.profiles.learn import NewFact, learn

    numbers = iter(range(1, 10_000))

    def make(*events, yes=("personalise",), **attributes):
        profile, _ = get_or_create_by_identity("auth0", f"{next(numbers):024x}", connection="test")
        for purpose in yes:
            record(profile, Decision(purpose, "given", "login"))
        learn(profile, [NewFact(key, value, "declared", "app:shop") for key, value in attributes.items()])
        for name, properties in events:
            record_event(profile.pk, name, properties)
        refresh_views(profile)
        return profile

    return make


@pytest.fixture
def lake(settings, tmp_path):
    """Use a lake of this test."""
    settings.LAKE_URL = str(tmp_path / "lake")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Start Debian's Chromium once per process; Playwright has none and cannot start twice."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("chromium-browser") or "chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()
