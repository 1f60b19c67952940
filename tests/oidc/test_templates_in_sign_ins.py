"""Every example of every rule template in a real sign-in: what a template reads is what a sign-in fills."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from regulars.base.jobs.models import Job
from regulars.base.tokens.jwt import verify
from regulars.consent.models import Purpose
from regulars.consent.record import Decision
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Identity, Profile
from regulars.profiles.upstream_tokens import UpstreamToken
from regulars.rules import http_calls
from regulars.rules.models import RuleRun
from regulars.rules.templates import Example, Template, all_templates, enable_template
from regulars.rules.templates.examples import DeclaredHttp
from regulars.usecases.unit_of_work import changes
from regulars.usecases.users import UserPatch, update_user
from regulars.usecases.write_values import by_app
from tests.mmdb import write_database
from tests.oidc.app import App, came_back, id_claims, make_client, query_of, sign_in

pytestmark = pytest.mark.any_database  # rules meet no table
# What a rule does after its callback is done when the sign-in is committed.
AFTERWARDS = pytest.mark.django_db(transaction=True)
EXAMPLES = [
    pytest.param(
        template, example, id=f"{template.key}: {example.name}", marks=[AFTERWARDS] if len(example.http) > 1 else []
    )
    for template in all_templates()
    for example in template.examples
]
OF_THIS_SIGN_IN = {"iat", "exp", "auth_time", "nonce", "sid", "at_hash", "jti", "updated_at"}
SCOPE = "openid profile email phone offline_access"
SOMEWHERE = "193.10.2.3"
# What of an example's `user` is no attribute, but stands in the account.
OF_THE_ACCOUNT = {"user_id", "identities", "user_metadata", "app_metadata", "created_at"}


class SignIn:
    """The customer and the app that an example describes, and what their sign-in comes to."""

    def __init__(self, browser: Any, example: Example, places: Path) -> None:
        self.example = example
        request = example.context.get("request", {})
        self.ip = request.get("ip", SOMEWHERE)
        browser.defaults |= {"REMOTE_ADDR": self.ip, "HTTP_USER_AGENT": request.get("userAgent", "Firefox")}
        write_database(places, f"{self.ip}/32", _record(request.get("geoip", {})))
        client_id = example.context.get("clientID", "shop")
        make_client(client_id, name=example.context.get("clientName", "Harbour & Pine"))
        self.app = App(browser, client_id, standard={"scope": SCOPE, **request.get("query", {})})
        self.profile = self._customer()
        provider, _, key = example.user["user_id"].partition("|")
        connection = example.context.get("connection", "Username-Password-Authentication")
        how = {"method": "socialaccount", "provider": provider, "uid": key, "connection": connection}
        sign_in(browser, self.profile, **how)

    def _customer(self) -> Profile:
        user = self.example.user
        provider, _, key = user["user_id"].partition("|")
        profile, _ = get_or_create_by_identity(provider, key)
        for each in user.get("identities", []):
            more = {"profile": profile, "connection": each["provider"], "is_social": True}
            identity, _ = Identity.objects.get_or_create(
                provider=each["provider"], provider_user_id=each.get("user_id", "7"), defaults=more
            )
            if "access_token" in each:
                UpstreamToken.objects.create(identity=identity, secret={"access_token": each["access_token"]})
        known = _flat({key: value for key, value in user.items() if key not in OF_THE_ACCOUNT})
        with changes(profile, "test") as c:
            for purpose in Purpose.objects.all():
                c.decide(Decision(purpose.key, "given", "login"))
            c.learn([NewFact(name, value, "verified", provider, purpose="serve") for name, value in known.items()])
        metadata = {bag: user[bag] for bag in ("user_metadata", "app_metadata") if bag in user}
        update_user(profile, UserPatch(metadata=metadata), by_app("test"))
        if "created_at" in user:
            Profile.objects.filter(pk=profile.pk).update(created_at=user["created_at"])
        return Profile.objects.get(pk=profile.pk)

    def count_logins(self) -> None:
        """Set the number of logins so that the next one has the example's."""
        count = self.example.context.get("stats", {}).get("loginsCount", 2)
        Profile.objects.filter(pk=self.profile.pk).update(logins_count=count - 1)

    def answer(self) -> dict[str, Any]:
        """Sign in as the example says. Returns the answer to the app, or `{"redirect": …}`."""
        protocol = self.example.context.get("protocol", "")
        if protocol == "oauth2-refresh-token":
            return dict(self.app.refresh(self.refresh_token).json())
        away = self.app.authorize()
        if protocol == "redirect-callback":
            query = self.example.context["request"]["query"]
            away = self.app.browser.get("/continue", {"state": query_of(away["Location"])["state"], **query})
        elif not away["Location"].startswith("https://shop.example/"):
            return {"redirect": away["Location"]}
        back = came_back(away)
        return dict(self.app.exchange(back["code"]).json()) if "code" in back else back


def _record(place: dict[str, Any]) -> dict[str, Any]:
    """Return a record of a database of cities."""
    country = {"iso_code": place.get("country_code", "JP" if place.get("country_name") == "Japan" else "SE")}
    if not place:
        return {}
    return {"country": country, **({"city": {"names": {"en": place["city_name"]}}} if "city_name" in place else {})}


def _flat(user: dict[str, Any]) -> dict[str, Any]:
    """Return attributes as this product keeps them: those of `address` are attributes of their own."""
    return {key: value for key, value in {**user, **user.get("address", {})}.items() if key != "address"}


@pytest.fixture
def places(settings: Any, tmp_path: Path) -> Path:
    settings.GEOIP_FILE = str(tmp_path / "places.mmdb")
    return tmp_path / "places.mmdb"


@pytest.mark.parametrize(("template", "example"), EXAMPLES)
def test_a_template_does_in_a_sign_in_what_its_example_says(
    client: Any,
    standard_setup: None,
    places: Path,
    monkeypatch: pytest.MonkeyPatch,
    template: Template,
    example: Example,
) -> None:
    sign_in_of_example = SignIn(client, example, places)
    before = sign_in_of_example.app.tokens()
    sign_in_of_example.refresh_token = before["refresh_token"]
    http, metadata = DeclaredHttp(example.http), _metadata(sign_in_of_example.profile)
    monkeypatch.setattr(http_calls, "perform", http.perform)
    enable_template(template.key, example.settings)
    sign_in_of_example.count_logins()

    answer = sign_in_of_example.answer()

    run = RuleRun.objects.latest("pk")
    assert [step["fault"] for step in run.steps if step["fault"] not in ("", "denied")] == []
    ends = time.monotonic() + 30
    while http.problems() and time.monotonic() < ends:  # a rule may go on after its callback
        time.sleep(0.02)
    assert http.problems() == []
    expect = example.expect
    assert answer.get("error", "") == expect.get("denied", "")
    assert answer.get("redirect", "").startswith(expect.get("redirect", "").partition("…")[0])
    assert bool(answer.get("redirect")) == ("redirect" in expect)
    if "id_token" in answer:
        _compare_claims(id_claims(before), id_claims(answer), example)
        claims = verify(answer["access_token"]) if "access_token" in expect else {}
        assert {name: claims.get(name) for name in expect.get("access_token", {})} == expect.get("access_token", {})
    assert _metadata(sign_in_of_example.profile) == {
        bag: {**kept, **expect.get(bag, {})} for bag, kept in metadata.items()
    }
    queued = Job.objects.filter(kind="enrich").values_list("payload__source", flat=True)
    assert [*queued] == expect.get("enrichments", [])


def _compare_claims(before: dict[str, Any], now: dict[str, Any], example: Example) -> None:
    expected, withheld = example.expect.get("id_token", {}), set(example.expect.get("withheld", []))
    changed = {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)} - OF_THIS_SIGN_IN
    assert {name: now.get(name) for name in expected} == expected
    assert changed - expected.keys() == withheld
    assert withheld.isdisjoint(now)


def _metadata(profile: Profile) -> dict[str, Any]:
    document = Profile.objects.get(pk=profile.pk).document
    return {bag: document.get(bag, {}) for bag in ("user_metadata", "app_metadata")}
