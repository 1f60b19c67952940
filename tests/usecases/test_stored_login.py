"""State that logins store between requests: examples of version 1 are read by this version."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from regulars.oauth.grant import Grant
from regulars.usecases.login_progress import LoginProgress, RulesResult, Step

STORED = Path(__file__).parent / "stored"
PROGRESS = LoginProgress(
    done=(Step.RUN_RULES, Step.REDIRECT, Step.CHOOSE_QUESTION, Step.ASK_QUESTION),
    rules=RulesResult(
        id_token={"https://shop.example/tier": "gold"},
        scopes=["openid", "read:orders"],
        redirect_url="https://shop.example/terms",
        redirect_by="terms",
    ),
    consented=True,
)
GRANT = Grant(
    client_id="shop",
    sub="google-oauth2|1001",
    scopes=["openid", "offline_access"],
    audience="https://orders.example/",
    lifetime=7200,
    sid="0123456789abcdef0123456789abcdef",
    auth_time=1790000000,
    amr=["fed"],
    nonce="n1",
    sent_redirect_uri="https://shop.example/callback",
    challenge="bhDhTVfbnOHT9MDmOaYp8ruYHMRbGFvVoE3MBLxuPMg",
    id_token={"name": "Chika"},
    answers="auth0",  # a grant from before the choice keeps the form that it had
)


def stored(name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((STORED / name).read_text())
    return found


def has_all(value: object, part: object) -> bool:
    """Return whether the objects of `value` have the keys of `part`, with its values."""
    if isinstance(value, dict) and isinstance(part, dict):
        return all(key in value and has_all(value[key], inside) for key, inside in part.items())
    return value == part


@pytest.mark.parametrize(
    ("name", "kind", "value"),
    [("login_progress_v1.json", LoginProgress, PROGRESS), ("grant_v1.json", Grant, GRANT)],
)
def test_stored_state_of_version_1_is_read(name, kind, value):
    assert kind.from_json(stored(name)) == value
    assert has_all(value.to_json(), stored(name))  # a later version may add keys, and renames none


@pytest.mark.parametrize(
    ("name", "kind", "value"),
    [("login_progress_v1.json", LoginProgress, PROGRESS), ("grant_v1.json", Grant, GRANT)],
)
def test_unknown_keys_of_stored_state_are_ignored(name, kind, value):
    assert kind.from_json({**stored(name), "added_later": True}) == value


def test_unknown_steps_of_stored_progress_are_ignored():
    assert LoginProgress.from_json({"version": 1, "done": ["run_rules", "added_later"]}).done == (Step.RUN_RULES,)


@pytest.mark.parametrize("version", [None, 0, 2])
def test_progress_of_another_version_starts_anew(version):
    assert LoginProgress.from_json({**stored("login_progress_v1.json"), "version": version}) == LoginProgress()
