"""The cast: Ana owns the shop, Bruno works there, Chika is a customer, Dov is a customer somewhere else."""

from __future__ import annotations

import os
import tempfile

# Settings are read on import, so the test home must be named before Django wakes up; pytest-django would wake it before
# this file is read if pyproject.toml named the settings.
os.environ["DJANGO_SETTINGS_MODULE"] = "regulars.config.settings"
os.environ.setdefault("REGULARS_HOME", tempfile.mkdtemp(prefix="regulars-test-"))
os.environ.setdefault("REGULARS_SECRET_KEY", "only for tests")
os.environ.setdefault("REGULARS_DEMO", "1")

import django
import pytest

django.setup()


@pytest.fixture
def house(db: None) -> None:
    """The standard attributes and purposes, as a first start lays them down."""
    from regulars.consent.purposes import ensure_standard_purposes
    from regulars.profiles.attributes import ensure_standard_attributes

    ensure_standard_attributes()
    ensure_standard_purposes()


@pytest.fixture
def chika(house: None):
    from regulars.profiles.find import get_or_create_by_identity

    profile, _ = get_or_create_by_identity("google-oauth2", "1001", connection="google-oauth2", is_social=True)
    return profile


@pytest.fixture
def lake(settings, tmp_path):
    """A lake of this test's own."""
    settings.LAKE_URL = str(tmp_path / "lake")
