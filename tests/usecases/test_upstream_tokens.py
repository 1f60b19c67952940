"""Tokens of providers: stored encrypted, renewed once, shown where allowed, revoked."""

from __future__ import annotations

import datetime as dt
import json
import threading
from urllib.parse import parse_qs

import pytest
from django.db import connection, connections
from django.utils import timezone
from tests.receivers import Answer, receiving

from regulars.base.jobs.models import Job
from regulars.base.jobs.run_jobs import run_due
from regulars.connections.models import Connection
from regulars.profiles.document import user
from regulars.profiles.models import Identity, Profile
from regulars.profiles.upstream_tokens import UpstreamRevocation, UpstreamToken
from regulars.usecases.complete_social_login import ProviderLogin, complete_social_login
from regulars.usecases.erase import erase_customer
from regulars.usecases.renew_upstream_tokens import fresh_token, show_tokens
from regulars.usecases.revoke_upstream_grants import request_revocation


@pytest.fixture(autouse=True)
def _loopback(settings):
    settings.DEMO = True


def signed_in(strategy: str, there: str, **issued) -> Identity:
    Connection.objects.create(
        name=strategy,
        strategy=strategy,
        display_name="Network",
        client_id="shop",
        secret="s3cret",
        urls={"site": there},
    )
    answer = {"access_token": "first", "refresh_token": "again", "expires_in": 3600, **issued}
    complete_social_login(ProviderLogin(strategy, "1", strategy, {"user": {}}, ["a", "b"], ["a", "b"], issued=answer))
    return Identity.objects.get()


def expire() -> None:
    UpstreamToken.objects.update(expires_at=timezone.now() - dt.timedelta(seconds=1))


def json_answer(value, status: int = 200) -> Answer:
    return Answer(status=status, body=json.dumps(value).encode(), headers={"content-type": "application/json"})


def test_token_is_stored_encrypted(standard_setup):
    identity = signed_in("twitter", "http://localhost:1")

    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM profiles_upstreamtoken")
        stored = cursor.fetchone()[0]
    assert "first" not in stored
    assert fresh_token(identity) == "first"
    assert identity.token.scopes == ["a", "b"]


def test_expired_token_is_renewed_as_the_provider_expects(standard_setup):
    with receiving(json_answer({"access_token": "second", "refresh_token": "once more", "expires_in": 7200})) as there:
        identity = signed_in("twitter", there.url)
        expire()
        assert fresh_token(identity) == fresh_token(identity) == "second"

        (call,) = there.received
    asked = {name: values[0] for name, values in parse_qs(call.body.decode()).items()}
    assert asked == {"grant_type": "refresh_token", "refresh_token": "again"}
    assert call.headers["authorization"].startswith("Basic ")
    assert (UpstreamToken.objects.get().refresh_token, UpstreamToken.objects.get().scopes) == ("once more", ["a", "b"])


def test_ended_grant_is_not_renewed_again(standard_setup):
    with receiving(json_answer({"error": "invalid_grant"}, 400)) as there:
        identity = signed_in("twitter", there.url)
        expire()
        assert fresh_token(identity) == fresh_token(identity) == ""
        assert len(there.received) == 1


def test_unreachable_provider_is_asked_again_later(standard_setup):
    with receiving(json_answer({}, 503)) as there:
        identity = signed_in("twitter", there.url)
        expire()
        assert fresh_token(identity) == ""
        there.answers = [json_answer({"access_token": "second", "expires_in": 60 * 60})]
        assert fresh_token(identity) == "second"


@pytest.mark.django_db(transaction=True)
def test_one_of_several_simultaneous_callers_renews(standard_setup):
    with receiving(json_answer({"access_token": "second", "refresh_token": "once more", "expires_in": 3600})) as there:
        identity = signed_in("twitter", there.url)
        expire()
        found: list[str] = []

        def ask() -> None:
            found.append(fresh_token(identity))
            connections.close_all()

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert found == ["second"] * 6
        assert len(there.received) == 1


def test_second_login_without_refresh_token_keeps_the_first_one(standard_setup):
    signed_in("twitter", "http://localhost:1")
    complete_social_login(
        ProviderLogin(
            "twitter", "1", "twitter", {}, ["a"], ["a"], issued={"access_token": "newer", "expires_in": "soon"}
        )
    )

    token = UpstreamToken.objects.get()
    assert (token.access_token, token.refresh_token, token.scopes) == ("newer", "again", ["a"])


def test_expired_token_is_not_shown_and_the_worker_renews_it(standard_setup):
    with receiving(json_answer({"access_token": "second", "expires_in": 3600})) as there:
        signed_in("twitter", there.url)
        expire()
        profile = Profile.objects.get()
        shown = user(profile)

        assert show_tokens(shown, profile) == []
        run_due()
        assert show_tokens(shown, profile) == ["second"]
    assert shown["identities"][0]["access_token"] == "second"
    assert "access_token" not in str(Profile.objects.get().document)


@pytest.mark.parametrize(
    ("strategy", "method", "path"),
    [
        ("google-oauth2", "POST", "/revoke"),
        ("facebook", "DELETE", "/v25.0/me/permissions/a"),
        ("twitter", "POST", "/2/oauth2/revoke"),
        ("github", "DELETE", "/applications/shop/grant"),
    ],
)
def test_grant_is_revoked_as_the_provider_expects_and_retried(standard_setup, strategy, method, path):
    with receiving(json_answer({}, 503)) as there:
        identity = signed_in(strategy, there.url)
        assert request_revocation(identity, ["a"])
        run_due()
        there.answers = [json_answer({"success": True})]
        Job.objects.update(due_at=timezone.now())
        run_due()

        calls = [(call.method, call.path.partition("?")[0]) for call in there.received]
    assert calls == [(method, path)] * 2
    assert Job.objects.get(kind="upstream.revoke").state == Job.State.DONE
    left = UpstreamToken.objects.first()
    assert (left.scopes if left else None) == (["b"] if strategy == "facebook" else None)


def test_provider_without_revocation_is_not_asked(standard_setup):
    assert not request_revocation(signed_in("amazon", "http://localhost:1"), ["a"])


def run_again_when_due() -> None:
    Job.objects.filter(state=Job.State.WAITING).update(due_at=timezone.now())
    run_due()


def test_erasure_revokes_in_the_background_until_the_provider_answers(standard_setup):
    with receiving(json_answer({}, 503)) as there:
        signed_in("twitter", there.url)
        erasure = erase_customer(Profile.objects.get(), "customer")
        at_once = list(there.received)
        run_due()
        waiting = UpstreamRevocation.objects.get(erasure=erasure.pk)
        there.answers = [json_answer({"revoked": True})]
        run_again_when_due()
        first, second = there.received

    assert at_once == []
    assert (waiting.state, waiting.tries, waiting.why) == ("waiting", 1, "the provider answered 503")
    assert waiting.secret["access_token"] == "first"
    assert first.body == second.body
    over = UpstreamRevocation.objects.get()
    assert (over.state, over.secret, over.tries) == ("ended", {}, 2)
    assert (Identity.objects.count(), UpstreamToken.objects.count()) == (0, 0)


def test_expired_token_is_renewed_once_to_be_revoked(standard_setup):
    renewed = json_answer({"access_token": "second", "refresh_token": "once more", "expires_in": 3600})
    with receiving(renewed, json_answer({}, 503), json_answer({"revoked": True})) as there:
        signed_in("twitter", there.url)
        expire()
        erase_customer(Profile.objects.get())
        run_due()
        run_again_when_due()
        paths = [call.path for call in there.received]
        given_back = parse_qs(there.received[-1].body.decode())["token"]

    assert paths == ["/2/oauth2/token", "/2/oauth2/revoke", "/2/oauth2/revoke"]
    assert given_back == ["second"]
    assert UpstreamRevocation.objects.get().state == "ended"


def test_grant_ended_by_the_customer_is_not_found(standard_setup):
    with receiving(json_answer({"error": "invalid_grant"}, 400)) as there:
        signed_in("twitter", there.url)
        expire()
        erase_customer(Profile.objects.get())
        run_due()

    assert UpstreamRevocation.objects.get().state == "not_found"


def test_revocation_fails_after_all_tries_and_deletes_the_token(standard_setup, monkeypatch):
    monkeypatch.setattr("regulars.usecases.revoke_upstream_grants.TRIES", 3)
    with receiving(json_answer({}, 503)) as there:
        signed_in("twitter", there.url)
        erase_customer(Profile.objects.get())
        for _ in range(5):
            run_again_when_due()
        asked = len(there.received)

    row = UpstreamRevocation.objects.get()
    assert (asked, row.state, row.secret, row.why) == (3, "failed", {}, "the provider answered 503")
    assert Job.objects.get(kind="upstream.revoke_erased").state == Job.State.FAILED


def test_revocation_secret_is_stored_encrypted(standard_setup):
    signed_in("twitter", "http://localhost:1")
    erase_customer(Profile.objects.get())

    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM profiles_upstreamrevocation")
        stored = cursor.fetchone()[0]
    assert "first" not in stored
    assert "again" not in stored


def test_tokens_are_not_sent_to_an_address_that_did_not_issue_them(standard_setup):
    """A connection was moved, with a new secret: tokens of the old address stay away from the new one."""
    with receiving(json_answer({"access_token": "second"})) as there, receiving(json_answer({})) as elsewhere:
        identity = signed_in("twitter", there.url, issued_by=f"{there.url}/2/oauth2/token")
        expire()
        assert fresh_token(identity) == "second"
        assert UpstreamToken.objects.get().issued_by == f"{there.url}/2/oauth2/token"
        Connection.objects.update(urls={"site": elsewhere.url})
        assert not request_revocation(identity, [])
        expire()
        assert fresh_token(identity) == ""
        erase_customer(Profile.objects.get(), "customer")
        run_due()
        row = UpstreamRevocation.objects.get()

        assert (row.state, row.secret, elsewhere.received) == ("failed", {}, [])
        assert row.why == "this connection was deleted, or moved to another address"


def test_login_after_a_move_does_not_keep_the_old_refresh_token(standard_setup):
    signed_in("twitter", "http://localhost:1", issued_by="http://localhost:1/2/oauth2/token")
    newer = {"access_token": "newer", "issued_by": "http://localhost:2/2/oauth2/token"}
    complete_social_login(ProviderLogin("twitter", "1", "twitter", {}, ["a"], ["a"], issued=newer))

    token = UpstreamToken.objects.get()
    assert (token.access_token, token.refresh_token) == ("newer", "")
