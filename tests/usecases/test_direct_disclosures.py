"""Look-ups and tokens for applications of other companies are disclosures: who was given what, and when."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from tests.management_api.conftest import ApiClient, make_token
from tests.oidc.app import CALLBACK, App, sign_in
from tests.receivers import Answer, receiving

from regulars.clients.models import Client, ClientGrant, ResourceServer, management_audience
from regulars.consent.record import Decision
from regulars.destinations.disclosures import disclosures_of
from regulars.destinations.models import DirectDisclosure
from regulars.enrichment.models import SourceSetting
from regulars.oauth.models import AppGrant
from regulars.profiles.learn import NewFact, learn
from regulars.rules.models import RuleRun
from regulars.rules.save import save_rule
from regulars.segments.models import Segment
from regulars.segments.save import save_segment
from regulars.usecases import record_disclosures
from regulars.usecases.enrich import enrich
from regulars.usecases.erase import erase_customer
from regulars.usecases.export import access
from regulars.usecases.recipients import recipients_of
from regulars.usecases.record_disclosures import (
    all_disclosures_of,
    record_api_reading,
    record_tokens,
    record_userinfo,
)
from regulars.usecases.save_segment import evaluate_saved
from regulars.usecases.unit_of_work import changes

pytestmark = pytest.mark.usefixtures("lake")
ANSWER = Answer(body=json.dumps({"ageRange": "25-34"}).encode())


def switch_on(url):
    settings = {"api_key": "k", "base_url": url}
    SourceSetting.objects.update_or_create(
        key="fullcontact", defaults={"enabled": True, "settings": settings, "purpose_id": "enrich"}
    )


@pytest.fixture
def asked(chika):
    """Chika has an address, which may be looked up."""
    with changes(chika, "test") as c:
        c.decide(Decision("enrich", "given", "test"))
        c.learn([NewFact("email", "chika@example.com", "declared", "test")])
    return chika


def look_up(profile):
    enrich({"profile": profile.pk, "source": "fullcontact"})


def test_lookup_that_sends_an_address_is_a_disclosure_of_it(asked):
    with receiving(ANSWER) as receiver:
        switch_on(receiver.url)
        look_up(asked)
    (line,) = disclosures_of(asked)

    assert (line.kind, line.recipient, line.place, line.purpose) == ("lookup", "FullContact", "127.0.0.1", "enrich")
    assert line.attributes == ("email",)
    assert access(asked)["disclosures"][0]["recipient"] == "FullContact"


def test_lookup_is_recorded_before_it_is_known_whether_it_arrived(asked):
    with receiving(Answer(400)) as receiver:
        switch_on(receiver.url)
        with pytest.raises(Exception, match="http_400"):
            look_up(asked)

    assert [line.recipient for line in disclosures_of(asked)] == ["FullContact"]


def test_lookup_without_a_yes_is_neither_made_nor_recorded(asked):
    with changes(asked, "test") as c:
        c.decide(Decision("enrich", "withdrawn", "test"))
    with receiving(ANSWER) as receiver:
        switch_on(receiver.url)
        look_up(asked)

    assert (receiver.received, disclosures_of(asked)) == ([], [])


def test_withdrawal_while_the_question_is_prepared_stops_the_call(asked, monkeypatch):
    with receiving(ANSWER) as receiver:
        switch_on(receiver.url)
        permitted = record_disclosures.permitted_source

        def withdrawn_meanwhile(profile, key):
            with changes(profile, "test") as c:
                c.decide(Decision("enrich", "withdrawn", "test"))
            return permitted(profile, key)

        monkeypatch.setattr(record_disclosures, "permitted_source", withdrawn_meanwhile)
        look_up(asked)

    assert (receiver.received, disclosures_of(asked)) == ([], [])


def test_answer_from_the_cache_discloses_nothing_more(asked):
    with receiving(ANSWER) as receiver:
        switch_on(receiver.url)
        look_up(asked)
        before = DirectDisclosure.objects.get().last_at
        look_up(asked)

    assert len(receiver.received) == 1
    assert DirectDisclosure.objects.get().last_at == before


@pytest.mark.parametrize("key", ["email", "us-areas"])
def test_source_on_this_machine_is_no_disclosure(asked, key):
    lives_in(asked, "98101")
    settings = {"file": ""} if key == "us-areas" else {}
    SourceSetting.objects.update_or_create(
        key=key, defaults={"enabled": True, "settings": settings, "purpose_id": "enrich"}
    )
    enrich({"profile": asked.pk, "source": key})

    assert disclosures_of(asked) == []


def lives_in(profile, postal_code):
    with changes(profile, "test") as c:
        c.learn([NewFact("postal_code", postal_code, "declared", "test"), NewFact("country", "US", "declared", "test")])


def test_lookup_about_an_area_is_a_disclosure_of_whose_postal_code_left(asked, make_customer):
    neighbour = make_customer(yes=("enrich",))
    for profile in (asked, neighbour):
        lives_in(profile, "98101")
    answer = Answer(body=b'[["B19013_001E","zip code tabulation area"],["52000","98101"]]')
    with receiving(answer) as receiver:
        settings = {"base_url": receiver.url, "year": "2024", "api_key": "k"}
        SourceSetting.objects.update_or_create(
            key="us-census-acs", defaults={"enabled": True, "settings": settings, "purpose_id": "enrich"}
        )
        for profile in (asked, neighbour):
            enrich({"profile": profile.pk, "source": "us-census-acs"})
        assert len(receiver.received) == 1
    (line,) = disclosures_of(asked)

    assert (line.kind, line.recipient, line.purpose) == ("lookup", "US Census", "enrich")
    assert line.attributes == ("country", "postal_code")
    assert disclosures_of(neighbour) == []  # the answer was there already: nothing left for them
    assert "US Census" in {each["recipient"] for each in access(asked)["disclosures"]}


def test_objection_while_a_question_about_an_area_is_prepared_stops_the_call(asked, monkeypatch):
    lives_in(asked, "98101")
    with receiving(Answer(body=b"[]")) as receiver:
        settings = {"base_url": receiver.url, "year": "2024", "api_key": "k"}
        SourceSetting.objects.update_or_create(
            key="us-census-acs", defaults={"enabled": True, "settings": settings, "purpose_id": "enrich"}
        )
        permitted = record_disclosures.permitted_source

        def objected_meanwhile(profile, key):
            with changes(profile, "test") as c:
                c.decide(Decision("enrich", "withdrawn", "test"))
            return permitted(profile, key)

        monkeypatch.setattr(record_disclosures, "permitted_source", objected_meanwhile)
        enrich({"profile": asked.pk, "source": "us-census-acs"})

    assert (receiver.received, disclosures_of(asked)) == ([], [])


def test_source_that_moved_keeps_where_it_was_asked(asked):
    with receiving(ANSWER) as receiver:
        switch_on(receiver.url)
        look_up(asked)
    switch_on("https://elsewhere.example")

    assert [line.place for line in disclosures_of(asked)] == ["127.0.0.1"]


@pytest.fixture
def bikes(standard_setup):
    return Client.objects.create(client_id="bikes", name="Bikes & Co", first_party=False)


def test_tokens_of_another_companys_application_are_a_disclosure(asked, bikes):
    record_tokens(asked, bikes, ["openid", "email"])
    (line,) = disclosures_of(asked)

    assert (line.kind, line.recipient, line.purpose) == ("application", "Bikes & Co", "serve")
    assert line.attributes == ("email",)


def test_userinfo_adds_what_became_known_since(asked, bikes):
    record_tokens(asked, bikes, ["openid", "email"])
    record_userinfo(bikes, {"sub": asked.user_id, "email": "a", "given_name": "Chika", "https://x/tier": "gold"})

    assert disclosures_of(asked)[0].attributes == ("email", "given_name", "https://x/tier")
    assert DirectDisclosure.objects.count() == 1


def test_claims_that_rules_add_to_tokens_are_in_the_disclosure(client, asked, bikes):
    """Those of the access token too: the application that is given it reads it."""
    Client.objects.filter(pk="bikes").update(grant_types=["authorization_code"], redirect_uris=[CALLBACK])
    script = (
        "(user, context, cb) => { context.idToken['https://shop.example/tier'] = 'gold';"
        " context.accessToken['https://shop.example/shops'] = ['Porto']; cb(null, user, context); }"
    )
    save_rule("Tier", script=script)
    sign_in(client, asked)
    AppGrant.objects.create(profile=asked, client=bikes, scopes=["openid", "email", "profile"])
    assert "code=" in App(client, "bikes").authorize()["Location"]

    (line,) = disclosures_of(asked)
    assert line.recipient == "Bikes & Co"
    assert set(line.attributes) >= {"email", "https://shop.example/tier", "https://shop.example/shops"}
    assert "sub" not in line.attributes
    listed = client.get("/me").content.decode().partition('id="disclosures"')[2].partition("</section>")[0]
    assert "Tier" in listed
    assert "Shops" in listed


def test_single_claims_of_a_token_are_in_the_disclosure(client, asked, bikes):
    Client.objects.filter(pk="bikes").update(grant_types=["authorization_code"], redirect_uris=[CALLBACK])
    with changes(asked, "test") as c:
        c.learn([NewFact("birthdate", "1990-05-17", "declared", "test")])
    sign_in(client, asked)
    AppGrant.objects.create(profile=asked, client=bikes, scopes=["openid", "profile"])
    only = {"scope": "openid", "claims": json.dumps({"id_token": {"birthdate": None}})}
    assert "code=" in App(client, "bikes").authorize(**only)["Location"]

    assert disclosures_of(asked)[0].attributes == ("birthdate",)


def test_repeated_userinfo_writes_nothing(asked, bikes, django_assert_num_queries):
    claims = {"sub": asked.user_id, "email": "a"}
    record_userinfo(bikes, claims)
    with django_assert_num_queries(2):
        record_userinfo(bikes, claims)


def test_erasure_takes_the_records_along(asked, bikes):
    record_tokens(asked, bikes, ["openid", "email"])
    erase_customer(asked)

    assert not DirectDisclosure.objects.exists()


def test_hosts_that_rules_called_are_listed(asked):
    steps = [{"rule": "lead", "requests": [{"method": "POST", "host": "crm.example", "status": 200}]}, {"rule": "x"}]
    for _ in range(2):
        RuleRun.objects.create(moment="login", profile=asked, milliseconds=1, steps=steps)
    (line,) = all_disclosures_of(asked)

    assert (line.kind, line.recipient, line.state) == ("rule_host", "crm.example", "attempted")
    assert access(asked)["disclosures"][0]["recipient"] == "crm.example"


def machine(client):
    return ApiClient(client), make_token(azp="bikes", sub="bikes@clients")


def test_users_that_another_companys_machine_reads_are_disclosures(client, asked, bikes, make_customer):
    dov = make_customer()
    learn(dov, [NewFact("app_metadata.plan", "gold", "declared", "app:shop")])
    api, token = machine(client)

    assert api.call("GET", "/v2/users", token=token, fields="user_id,app_metadata").status_code == 200
    assert [line.attributes for line in disclosures_of(dov)] == [("app_metadata.plan",)]
    assert api.call("GET", f"/v2/users/{asked.user_id}", token=token).status_code == 200
    (line,) = disclosures_of(asked)
    assert (line.kind, line.recipient, line.purpose) == ("application", "Bikes & Co", "serve")
    assert "email" in line.attributes
    assert "user_id" not in line.attributes
    assert access(asked)["disclosures"][0]["recipient"] == "Bikes & Co"
    sign_in(client, asked)
    listed = client.get("/me").content.decode().partition('id="disclosures"')[2].partition("</section>")[0]
    assert "Bikes &amp; Co" in listed


@pytest.mark.parametrize("path", ["facts", "timeline", "members", "users-by-email"])
def test_every_reading_of_another_companys_machine_is_a_disclosure(client, asked, bikes, path):
    save_segment("All", "*", "enrich", slug="all")
    evaluate_saved(Segment.objects.get(slug="all"))
    with changes(asked, "test") as c:
        c.record_event("Signed In", {})
    address = {
        "members": "/regulars/v1/segments/all/members",
        "users-by-email": "/v2/users-by-email",
    }.get(path, f"/regulars/v1/profiles/{asked.user_id}/{path}")
    api, token = machine(client)
    query = {"email": "chika@example.com"} if path == "users-by-email" else {}
    assert api.call("GET", address, token=token, **query).status_code == 200

    (line,) = disclosures_of(asked)
    expected = {"timeline": "events", "members": "segments"}.get(path, "email")
    assert expected in line.attributes
    assert line.purpose == ("enrich" if path == "members" else "serve")


def test_reading_of_the_companys_own_back_end_is_no_disclosure(client, asked, bikes):
    Client.objects.filter(pk="bikes").update(first_party=True)
    api, token = machine(client)
    for address in ("/v2/users", f"/v2/users/{asked.user_id}", f"/regulars/v1/profiles/{asked.user_id}/facts"):
        assert api.call("GET", address, token=token).status_code == 200

    assert not DirectDisclosure.objects.exists()


def test_readings_are_written_once_a_day(asked, bikes, make_customer, django_assert_num_queries):
    given = {profile.pk: ["email"] for profile in (asked, make_customer(), make_customer())}
    record_api_reading("bikes", "serve", given)
    first = DirectDisclosure.objects.earliest("pk")
    with django_assert_num_queries(2):  # one of them asks whether the client was changed
        record_api_reading("bikes", "serve", given)
    record_api_reading("bikes", "serve", {asked.pk: ["name"]})
    assert disclosures_of(asked)[0].attributes == ("email", "name")

    DirectDisclosure.objects.update(last_at=first.last_at - dt.timedelta(days=2))
    record_api_reading("bikes", "serve", given)
    assert DirectDisclosure.objects.filter(last_at__gte=first.last_at).count() == len(given)
    assert DirectDisclosure.objects.count() == len(given)


def test_reading_of_a_customer_who_is_erased_meanwhile_is_no_fault(asked, bikes, make_customer):
    gone = make_customer()
    number = gone.pk
    erase_customer(gone)
    record_api_reading("bikes", "serve", {asked.pk: ["email"], number: ["email"]})

    assert list(DirectDisclosure.objects.values_list("profile", flat=True)) == [asked.pk]


def test_application_with_a_purpose_in_its_grant_is_named_beside_it(bikes):
    assert recipients_of("message") == ()
    api = ResourceServer.objects.create(identifier=management_audience(), name="Management", scopes=["read:users"])
    ClientGrant.objects.create(client=bikes, resource_server=api, purpose="message")

    assert [str(each) for each in recipients_of("message")] == ["Bikes & Co"]
    Client.objects.filter(pk="bikes").update(first_party=True)
    assert recipients_of("message") == ()
