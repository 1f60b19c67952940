"""Tokens of social networks: kept encrypted, renewed once, shown to few, given back."""

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
from regulars.base.jobs.run import run_due
from regulars.connections.models import Connection
from regulars.profiles.document import user
from regulars.profiles.models import Identity, Profile
from regulars.profiles.upstream_tokens import UpstreamRevocation, UpstreamToken
from regulars.usecases.complete_social_login import ProviderLogin, complete_social_login
from regulars.usecases.erase import erase_customer
from regulars.usecases.revoke_upstream_grants import request_revocation
from regulars.usecases.upstream_tokens import fresh_token, show_tokens


@pytest.fixture(autouse=True)
def _loopback(settings):
    settings.DEMO = True


def arrived(strategy: str, there: str, **issued) -> Identity:
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


def run_out() -> None:
    UpstreamToken.objects.update(expires_at=timezone.now() - dt.timedelta(seconds=1))


def said(value, status: int = 200) -> Answer:
    return Answer(status=status, body=json.dumps(value).encode(), headers={"content-type": "application/json"})


def test_a_token_is_kept_and_no_table_shows_it(standard_setup):
    identity = arrived("twitter", "http://localhost:1")

    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM profiles_upstreamtoken")
        stored = cursor.fetchone()[0]
    assert "first" not in stored
    assert fresh_token(identity) == "first"
    assert identity.token.scopes == ["a", "b"]


def test_what_has_run_out_is_renewed_as_its_provider_wants_it(standard_setup):
    with receiving(said({"access_token": "second", "refresh_token": "once more", "expires_in": 7200})) as there:
        identity = arrived("twitter", there.url)
        run_out()
        assert fresh_token(identity) == fresh_token(identity) == "second"

        (call,) = there.received
    asked = {name: values[0] for name, values in parse_qs(call.body.decode()).items()}
    assert asked == {"grant_type": "refresh_token", "refresh_token": "again"}
    assert call.headers["authorization"].startswith("Basic ")
    assert (UpstreamToken.objects.get().refresh_token, UpstreamToken.objects.get().scopes) == ("once more", ["a", "b"])


def test_a_provider_that_ended_it_is_not_asked_again(standard_setup):
    with receiving(said({"error": "invalid_grant"}, 400)) as there:
        identity = arrived("twitter", there.url)
        run_out()
        assert fresh_token(identity) == fresh_token(identity) == ""
        assert len(there.received) == 1


def test_a_provider_that_is_down_is_asked_another_time(standard_setup):
    with receiving(said({}, 503)) as there:
        identity = arrived("twitter", there.url)
        run_out()
        assert fresh_token(identity) == ""
        there.answers = [said({"access_token": "second", "expires_in": 60 * 60})]
        assert fresh_token(identity) == "second"


@pytest.mark.django_db(transaction=True)
def test_of_many_who_ask_at_once_one_renews(standard_setup):
    with receiving(said({"access_token": "second", "refresh_token": "once more", "expires_in": 3600})) as there:
        identity = arrived("twitter", there.url)
        run_out()
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


def test_a_second_login_without_a_refresh_token_keeps_the_first_one(standard_setup):
    arrived("twitter", "http://localhost:1")
    complete_social_login(
        ProviderLogin(
            "twitter", "1", "twitter", {}, ["a"], ["a"], issued={"access_token": "newer", "expires_in": "soon"}
        )
    )

    token = UpstreamToken.objects.get()
    assert (token.access_token, token.refresh_token, token.scopes) == ("newer", "again", ["a"])


def test_what_has_run_out_is_not_shown_and_the_worker_renews_it(standard_setup):
    with receiving(said({"access_token": "second", "expires_in": 3600})) as there:
        arrived("twitter", there.url)
        run_out()
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
def test_a_grant_is_given_back_as_its_provider_wants_it_and_tried_until_it_answers(
    standard_setup, strategy, method, path
):
    with receiving(said({}, 503)) as there:
        identity = arrived(strategy, there.url)
        assert request_revocation(identity, ["a"])
        run_due()
        there.answers = [said({"success": True})]
        Job.objects.update(due_at=timezone.now())
        run_due()

        calls = [(call.method, call.path.partition("?")[0]) for call in there.received]
    assert calls == [(method, path)] * 2
    assert Job.objects.get(kind="upstream.revoke").state == Job.State.DONE
    left = UpstreamToken.objects.first()
    assert (left.scopes if left else None) == (["b"] if strategy == "facebook" else None)


def test_who_cannot_take_a_grant_back_says_so(standard_setup):
    assert not request_revocation(arrived("amazon", "http://localhost:1"), ["a"])


def let_time_pass() -> None:
    Job.objects.filter(state=Job.State.WAITING).update(due_at=timezone.now())
    run_due()


def test_the_network_of_somebody_erased_is_asked_until_it_answers_and_never_in_the_request(standard_setup):
    with receiving(said({}, 503)) as there:
        arrived("twitter", there.url)
        erasure = erase_customer(Profile.objects.get(), "customer")
        at_once = list(there.received)
        run_due()
        waiting = UpstreamRevocation.objects.get(erasure=erasure.pk)
        there.answers = [said({"revoked": True})]
        let_time_pass()
        first, second = there.received

    assert at_once == []
    assert (waiting.state, waiting.tries, waiting.why) == ("waiting", 1, "the provider answered 503")
    assert waiting.secret["access_token"] == "first"
    assert first.body == second.body
    over = UpstreamRevocation.objects.get()
    assert (over.state, over.secret, over.tries) == ("ended", {}, 2)
    assert (Identity.objects.count(), UpstreamToken.objects.count()) == (0, 0)


def test_a_token_that_had_run_out_is_renewed_once_to_be_given_back(standard_setup):
    renewed = said({"access_token": "second", "refresh_token": "once more", "expires_in": 3600})
    with receiving(renewed, said({}, 503), said({"revoked": True})) as there:
        arrived("twitter", there.url)
        run_out()
        erase_customer(Profile.objects.get())
        run_due()
        let_time_pass()
        paths = [call.path for call in there.received]
        given_back = parse_qs(there.received[-1].body.decode())["token"]

    assert paths == ["/2/oauth2/token", "/2/oauth2/revoke", "/2/oauth2/revoke"]
    assert given_back == ["second"]
    assert UpstreamRevocation.objects.get().state == "ended"


def test_what_she_ended_there_herself_is_gone(standard_setup):
    with receiving(said({"error": "invalid_grant"}, 400)) as there:
        arrived("twitter", there.url)
        run_out()
        erase_customer(Profile.objects.get())
        run_due()

    assert UpstreamRevocation.objects.get().state == "not_found"


def test_a_network_that_never_answers_is_given_up_and_its_token_thrown_away(standard_setup, monkeypatch):
    monkeypatch.setattr("regulars.usecases.revoke_upstream_grants.TRIES", 3)
    with receiving(said({}, 503)) as there:
        arrived("twitter", there.url)
        erase_customer(Profile.objects.get())
        for _ in range(5):
            let_time_pass()
        asked = len(there.received)

    row = UpstreamRevocation.objects.get()
    assert (asked, row.state, row.secret, row.why) == (3, "failed", {}, "the provider answered 503")
    assert Job.objects.get(kind="upstream.revoke_erased").state == Job.State.FAILED


def test_no_table_shows_what_ending_it_takes(standard_setup):
    arrived("twitter", "http://localhost:1")
    erase_customer(Profile.objects.get())

    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM profiles_upstreamrevocation")
        stored = cursor.fetchone()[0]
    assert "first" not in stored
    assert "again" not in stored
