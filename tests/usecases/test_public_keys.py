"""What comes by a public write key is weak: it joins no customers, replaces no better word, and reaches no token.

Each road by which a message could join two known customers is attacked here: user id, e-mail address, hashed e-mail
address, alias, previous id. A proof lifts the weakness, and a source may demand it.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import time
from collections.abc import Callable

import pytest
from django.utils import timezone
from tests.management_api.conftest import make_token

from regulars.accounts.proofs.addresses import record_address
from regulars.base.errors import DomainError
from regulars.base.tokens.jwt import sign
from regulars.clients.models import Client
from regulars.consent.view import may, served_user, view
from regulars.events.models import Event, InboxItem, Source
from regulars.events.sources import demand_proof, replace_key, replace_secret
from regulars.profiles.assertions import Asserter, Place
from regulars.profiles.find import find_by_identity, get_or_create_by_identity
from regulars.profiles.learn import NewFact, learn
from regulars.profiles.models import Attribute, Fact, Identity, IdentityConflict, Merge, RefusedGuess
from regulars.usecases.complete_social_login import sign_up
from regulars.usecases.first_proof import record_proof
from regulars.usecases.identity_conflicts import join, keep_apart, open_conflicts
from regulars.usecases.process_event import process_inbox

pytestmark = pytest.mark.django_db
NUMBERS = itertools.count(1)
NAMED = {"firstName": "Mallory", "gender": "male", "birthday": "1970-01-01"}


@pytest.fixture
def source(standard_setup) -> Source:
    return Source.objects.create(name="Shop", slug="shop")


def sending(source: Source) -> Callable[..., InboxItem]:
    """Return a function that puts a message into the inbox as the collector does, and lets the worker take it."""

    def deliver(type_: str = "identify", **message: object) -> InboxItem:
        item = InboxItem.objects.create(
            source=source,
            message_id=f"m-{next(NUMBERS)}",
            type=type_,
            body=json.dumps({"type": type_, **message}),
            received_at=timezone.now(),
        )
        while process_inbox():
            pass
        item.refresh_from_db()
        return item

    return deliver


@pytest.fixture
def send(source):
    return sending(source)


@pytest.fixture
def dov(standard_setup):
    return sign_up("dov@example.com", "!", "Username-Password-Authentication").profile


@pytest.fixture
def fay(standard_setup):
    return sign_up("fay@example.com", "!", "Username-Password-Authentication").profile


def shown(profile, place: Place) -> dict[str, object]:
    profile.refresh_from_db()
    return {
        key: value for key, value in served_user(profile, place).items() if key in ("given_name", "gender", "birthdate")
    }


def pairs() -> set[tuple[str, frozenset[str]]]:
    rows = IdentityConflict.objects.select_related("first", "second")
    return {(row.how, frozenset({row.first.user_id, row.second.user_id})) for row in rows}


def assert_apart(one, other) -> None:
    for profile in (one, other):
        profile.refresh_from_db()
        assert profile.merged_into_id is None
    assert not Merge.objects.filter(source__in=[one, other]).exists()


# Values


@pytest.mark.parametrize("place", [Place.TOKEN, Place.USERINFO, Place.RULES])
def test_traits_by_a_public_key_reach_no_token_and_no_rule(send, dov, place):
    send(userId=dov.user_id, traits=NAMED)

    assert shown(dov, place) == {}


def test_weak_value_shows_to_staff_and_in_segments_while_it_is_the_only_one(send, dov):
    send(userId=dov.user_id, traits=NAMED)
    dov.refresh_from_db()

    assert dov.document["given_name"] == "Mallory"
    assert view(dov, "measure")["gender"].value == "male"
    assert {fact.asserter for fact in dov.facts.filter(source="app:shop")} == {Asserter.PUBLIC_KEY}


@pytest.mark.parametrize(
    ("kind", "by"),
    [
        ("declared", "question:name@1"),
        ("declared", "app:crm"),
        ("corrected", "staff:ana"),
        ("social", "facebook"),
        ("verified", "google-oauth2"),
        ("imported", "csv"),
        ("enriched", "source:fullcontact"),
    ],
)
def test_weak_value_outranks_no_other_word_however_new(send, dov, kind, by):
    learn(dov, [NewFact("given_name", "Dov", kind, by)])
    send(userId=dov.user_id, traits=NAMED)
    dov.refresh_from_db()

    assert dov.document["given_name"] == "Dov"


def test_weak_value_replaces_no_word_of_an_application_with_the_name_of_the_source(send, dov):
    """A source and a client may have one name, and a later word of one source replaces its earlier one."""
    learn(dov, [NewFact("given_name", "Dov", "declared", "app:shop")])
    send(userId=dov.user_id, traits=NAMED)
    dov.refresh_from_db()

    assert dov.document["given_name"] == "Dov"


def test_conclusions_from_a_weak_value_are_weak(send, dov):
    send(userId=dov.user_id, traits={**NAMED, "address": {"country": "PT"}})
    dov.refresh_from_db()
    served = served_user(dov, Place.TOKEN)

    assert dov.document["age_band"] == "55+"
    assert not {"age_band", "continent", "country"} & served.keys()


def test_weak_address_is_never_verified(send, dov):
    send(userId=dov.user_id, traits={"email": "mallory@evil.example", "email_verified": True})
    dov.refresh_from_db()

    assert (dov.document["email"], dov.document["email_verified"]) == ("dov@example.com", True)
    assert ("email_verified", "not_theirs_to_write") in RefusedGuess.objects.values_list("attribute", "why")


def test_metadata_by_a_public_key_is_weak_and_app_metadata_is_refused(send, dov):
    Attribute.objects.create(key="shoe", label="Shoe", purposes=["serve"], metadata_path="user_metadata.shoe")
    Attribute.objects.create(key="plan", label="Plan", purposes=["serve"], metadata_path="app_metadata.plan")
    send(userId=dov.user_id, traits={"shoe": "44", "plan": "gold"})
    dov.refresh_from_db()

    assert dov.document["user_metadata"] == {"shoe": "44"}
    assert "app_metadata" not in dov.document
    assert "user_metadata" not in served_user(dov, Place.RULES)


# Identities


def test_browser_attached_by_a_public_key_is_marked_and_not_shown_to_rules(send, dov):
    send("page", userId=dov.user_id, anonymousId="a-1")
    dov.refresh_from_db()

    assert Identity.objects.get(provider="anonymous").asserted_by == Asserter.PUBLIC_KEY
    assert [each["provider"] for each in dov.document["identities"]] == ["auth0", "anonymous"]
    assert [each["provider"] for each in served_user(dov, Place.RULES)["identities"]] == ["auth0"]


def test_user_id_with_the_browser_of_another_customer_joins_nothing(send, dov, fay):
    send("page", userId=fay.user_id, anonymousId="a-fay")
    send("page", userId=dov.user_id, anonymousId="a-fay")

    assert_apart(dov, fay)
    assert find_by_identity("anonymous", "a-fay") == fay
    assert pairs() == {("browser", frozenset({dov.user_id, fay.user_id}))}


@pytest.mark.parametrize("call", ["alias", "identify", "track"])
@pytest.mark.parametrize("field", ["previousId", "anonymousId"])
def test_the_id_of_another_customer_is_no_browser(send, dov, fay, call, field):
    send(call, userId=dov.user_id, event="Seen", **{field: fay.user_id})

    assert_apart(dov, fay)
    assert not Identity.objects.filter(provider="anonymous").exists()
    how = "alias" if field == "previousId" else "browser"
    assert pairs() == {(how, frozenset({dov.user_id, fay.user_id}))}


def test_alias_between_two_ids_of_the_company_joins_nothing(send):
    send("page", userId="c-1")
    send("page", userId="c-2")
    send("alias", userId="c-2", previousId="c-1")

    assert_apart(find_by_identity("external", "c-1"), find_by_identity("external", "c-2"))
    assert pairs() == {("alias", frozenset({"external|c-1", "external|c-2"}))}


def test_previous_id_that_is_the_browser_of_another_joins_nothing(send, dov, fay):
    send("page", userId=fay.user_id, anonymousId="a-fay")
    send("alias", userId=dov.user_id, previousId="a-fay", anonymousId="a-dov")

    assert_apart(dov, fay)
    assert find_by_identity("anonymous", "a-fay") == fay


@pytest.mark.parametrize(
    "user_id",
    ["dov@example.com", hashlib.sha256(b"dov@example.com").hexdigest(), hashlib.md5(b"dov@example.com").hexdigest()],
    ids=["address", "sha256", "md5"],
)
def test_an_address_or_its_hash_names_no_customer(send, dov, user_id):
    send("page", userId=user_id, anonymousId="a-1", traits={"email": "dov@example.com"})

    assert not dov.identities.exclude(provider="auth0").exists()
    assert find_by_identity("external", user_id).pk != dov.pk
    assert not Event.objects.filter(profile_id=dov.pk, name="Page Viewed").exists()


def test_the_address_of_another_account_joins_nothing_and_is_listed(send, dov, fay):
    send(userId=dov.user_id, traits={"email": "Fay@example.com"})
    dov.refresh_from_db()

    assert_apart(dov, fay)
    assert dov.document["email"] == "dov@example.com"
    assert pairs() == {("email", frozenset({dov.user_id, fay.user_id}))}


def test_the_user_id_of_a_visitor_is_no_customer(send):
    send("page", anonymousId="a-1")
    send("page", userId="anonymous|a-1", anonymousId="a-2")

    assert find_by_identity("anonymous", "a-1").user_id == "anonymous|a-1"
    assert find_by_identity("anonymous", "a-2").user_id == "external|anonymous|a-1"


def test_a_browser_with_the_id_of_a_customer_attaches_to_no_other(send, dov, fay):
    """First as a visitor of that name, then together with a customer."""
    send("page", anonymousId=fay.user_id)
    send("page", userId=dov.user_id, anonymousId=fay.user_id)

    assert_apart(dov, fay)
    assert not dov.identities.filter(provider="anonymous").exists()


# The review list


def test_staff_decide_a_pair_once(send, dov, fay):
    send("alias", userId=dov.user_id, previousId=fay.user_id)
    send("alias", userId=dov.user_id, previousId=fay.user_id)
    [listed] = open_conflicts()
    assert listed.conflict.times == 2

    keep_apart(listed.conflict.pk, "ana")
    send("alias", userId=dov.user_id, previousId=fay.user_id)

    assert open_conflicts() == []
    with pytest.raises(DomainError) as late:
        join(listed.conflict.pk, dov.user_id, "ana")
    assert late.value.code == "decided_meanwhile"
    assert_apart(dov, fay)


def test_staff_join_a_pair(send, dov, fay):
    send("alias", userId=dov.user_id, previousId=fay.user_id)
    [listed] = open_conflicts()

    join(listed.conflict.pk, fay.user_id, "ana")
    dov.refresh_from_db()

    assert dov.merged_into == fay
    assert open_conflicts() == []


@pytest.fixture
def send_as_server(standard_setup, send):
    """Send from the backend of the shop, whose key is secret."""
    backend = Source.objects.create(name="Backend", slug="backend")
    replace_key("backend", "server")
    backend.refresh_from_db()
    return sending(backend)


def test_an_address_by_a_public_key_finds_no_one_and_is_not_verified_by_an_application(send, client):
    """An application decides by `users-by-email` whose account it is; its "verified" is not about an address that comes later."""
    profile, _ = get_or_create_by_identity("facebook", "f-1", connection="facebook", is_social=True)
    send(userId=profile.user_id, traits={"email": "boss@example.com"})
    token = {"Authorization": f"Bearer {make_token('read:users update:users')}"}
    address = f"/api/v2/users/{profile.user_id}"

    changed = client.patch(
        address, json.dumps({"email_verified": True}), content_type="application/json", headers=token
    ).json()
    assert "email" not in changed
    learn(profile, [NewFact("email", "boss@example.com", "social", "facebook", asserter=Asserter.PROVIDER)])
    profile.refresh_from_db()
    assert profile.document["email_verified"] is False
    Fact.objects.filter(source="facebook").delete()
    assert client.get("/api/v2/users?q=email:boss@example.com", headers=token).json() == []
    assert client.get("/api/v2/users-by-email?email=boss@example.com", headers=token).json() == []

    client.patch(address, json.dumps({"email": "fay@example.com"}), content_type="application/json", headers=token)
    [found] = client.get("/api/v2/users-by-email?email=fay@example.com", headers=token).json()
    assert found["user_id"] == profile.user_id


def test_a_date_of_birth_by_a_public_key_closes_no_purpose_of_an_account(send, dov):
    """Otherwise any visitor withdraws consent for others, and destinations are asked to delete them."""
    send(userId=dov.user_id, traits={"birthday": f"{timezone.now().year - 5}-01-01"})

    assert may(dov, "measure")


def test_a_child_known_by_events_only_is_protected_all_the_same(send):
    send(userId="c-1", traits={"birthday": f"{timezone.now().year - 5}-01-01"})

    assert not may(find_by_identity("external", "c-1"), "measure")


@pytest.mark.parametrize("has_account", [True, False])
def test_a_country_by_a_public_key_makes_no_child_old_enough(send, dov, has_account):
    """Fourteen is too young where the country is not known, and old enough in Portugal."""
    if not has_account:
        send(userId="c-1")
    profile = dov if has_account else find_by_identity("external", "c-1")
    learn(profile, [NewFact("birthdate", f"{timezone.now().year - 15}-12-31", "declared", "app:crm")])
    send(userId=dov.user_id if has_account else "c-1", traits={"address": {"country": "PT"}})

    assert not may(profile, "measure")


@pytest.mark.parametrize("order", ["before", "after"])
def test_what_a_server_says_of_a_browser_is_weak_of_the_customer_that_a_public_key_gave_it_to(
    send, send_as_server, dov, order
):
    """Mallory types into the shop, whose backend reports it of the browser, and gives that browser to Dov."""
    calls = [
        lambda: send_as_server(anonymousId="b-mallory", traits=NAMED),
        lambda: send("page", anonymousId="b-mallory", userId=dov.user_id),
    ]
    for call in calls if order == "before" else reversed(calls):
        call()

    assert shown(dov, Place.TOKEN) == {}
    dov.refresh_from_db()
    assert dov.document["given_name"] == "Mallory"


@pytest.mark.parametrize("known", [True, False])
def test_what_a_server_says_of_a_browser_counts_of_the_customer_that_a_server_gave_it_to(
    send, send_as_server, dov, known
):
    if known:
        send("page", anonymousId="b-dov")
        send("page", anonymousId="b-dov", userId=dov.user_id)
    send_as_server("page", anonymousId="b-dov", userId=dov.user_id)
    send_as_server(anonymousId="b-dov", traits={"firstName": "Dov"})

    assert shown(dov, Place.TOKEN) == {"given_name": "Dov"}


# Proofs


def id_token(sub: str, **claims: object) -> str:
    Client.objects.get_or_create(client_id="shop", defaults={"name": "Shop"})
    now = int(time.time())
    return sign({"sub": sub, "aud": "shop", "iat": now, "exp": now + 60, **claims})


def test_an_id_token_of_the_customer_lifts_the_weakness(send, dov):
    item = send(
        userId=dov.user_id, traits={"firstName": "Dov"}, context={"token": id_token(dov.user_id), "locale": "pt"}
    )

    assert shown(dov, Place.TOKEN) == {"given_name": "Dov"}
    assert Fact.objects.get(attribute="given_name").asserter == Asserter.SERVER_KEY
    assert Event.objects.get(message_id=item.message_id).context == {"locale": "pt"}
    assert "eyJ" not in item.body


def test_a_hash_by_the_secret_lifts_the_weakness(send, source, dov):
    secret = replace_secret("shop")
    source.refresh_from_db()
    proof = hmac.new(secret.encode(), dov.user_id.encode(), hashlib.sha256).hexdigest()
    send(userId=dov.user_id, traits={"firstName": "Dov"}, context={"userHash": proof})

    assert shown(dov, Place.TOKEN) == {"given_name": "Dov"}


@pytest.mark.parametrize("previous", ["previousId", "anonymousId"])
def test_a_proof_is_of_the_user_id_alone_and_joins_no_other_customer(send, source, previous):
    """The sender proves who they are, not that another customer's id is theirs."""
    secret = replace_secret("shop")
    source.refresh_from_db()
    send("identify", userId="c-victim", traits=NAMED)
    proof = hmac.new(secret.encode(), b"c-mallory", hashlib.sha256).hexdigest()
    send("alias", userId="c-mallory", context={"userHash": proof}, **{previous: "c-victim"})

    assert_apart(find_by_identity("external", "c-victim"), find_by_identity("external", "c-mallory"))
    assert pairs() == {
        ("alias" if previous == "previousId" else "browser", frozenset({"external|c-victim", "external|c-mallory"}))
    }


def test_a_token_of_an_app_of_others_lifts_nothing(send, dov):
    """An app of others that the customer signs in to holds their ID token: it proves nothing about who sends it."""
    token = id_token(dov.user_id)
    Client.objects.update(first_party=False)
    send(userId=dov.user_id, traits=NAMED, context={"token": token})

    assert shown(dov, Place.TOKEN) == {}


def test_a_weak_word_replaces_no_proved_one_of_its_source(send, dov):
    send(userId=dov.user_id, traits={"firstName": "Dov"}, context={"token": id_token(dov.user_id)})
    send(userId=dov.user_id, traits=NAMED)

    assert shown(dov, Place.TOKEN) == {"given_name": "Dov"}


def test_a_token_from_before_the_first_proof_lifts_nothing(send, dov):
    """Who made the account with an address that is not theirs may hold an ID token of it for a day."""
    before = id_token(dov.user_id, iat=int(time.time()) - 60)
    dov.account.set_password("words of another person")
    dov.account.save()
    record_address(dov.account, proved=False)
    assert record_proof(dov.account, "mail")
    send(userId=dov.user_id, traits=NAMED, context={"token": before})
    weak = shown(dov, Place.TOKEN)
    send(userId=dov.user_id, traits={"firstName": "Dov"}, context={"token": id_token(dov.user_id, iat=time.time() + 1)})

    assert (weak, shown(dov, Place.TOKEN)) == ({}, {"given_name": "Dov"})


@pytest.mark.parametrize(
    "forged",
    [
        "no_time",
        "of_another",
        "expired",
        "access_token",
        "other_issuer",
        "no_client",
        "changed",
        "hash_of_another",
        "no_secret",
        "list",
    ],
)
def test_what_proves_nothing_stays_weak(send, source, dov, fay, forged):
    secret = "" if forged == "no_secret" else replace_secret("shop")
    source.refresh_from_db()
    of_another = hmac.new(secret.encode(), fay.user_id.encode(), hashlib.sha256).hexdigest()
    own = hmac.new(secret.encode(), dov.user_id.encode(), hashlib.sha256).hexdigest()
    context = {
        "no_time": {"token": id_token(dov.user_id, iat=None)},
        "of_another": {"token": id_token(fay.user_id)},
        "expired": {"token": id_token(dov.user_id, exp=int(time.time()) - 25 * 3600)},
        "access_token": {"token": sign({"sub": dov.user_id, "aud": "shop", "exp": int(time.time()) + 60}, "at+jwt")},
        "other_issuer": {"token": id_token(dov.user_id, iss="https://evil.example/")},
        "no_client": {"token": id_token(dov.user_id, aud="unknown")},
        "changed": {"token": id_token(dov.user_id)[:-6] + "AAAAAA"},
        "hash_of_another": {"userHash": of_another},
        "no_secret": {"userHash": own},
        "list": {"userHash": [own], "token": [id_token(dov.user_id)]},
    }[forged]
    send(userId=dov.user_id, traits=NAMED, context=context)

    assert shown(dov, Place.TOKEN) == {}


def test_a_source_that_demands_proof_sets_other_messages_with_a_user_id_aside(send, source, dov):
    demand_proof("shop", on=True)
    weak = send(userId=dov.user_id, traits=NAMED)
    proved = send(userId=dov.user_id, traits={"firstName": "Dov"}, context={"token": id_token(dov.user_id)})
    visitor = send("page", anonymousId="a-1")

    assert (weak.rejected, proved.rejected, visitor.rejected) == ("no_proof", "", "")
    assert not Fact.objects.filter(value="Mallory").exists()


# Servers


def test_a_servers_word_counts_as_observed(send, source, dov):
    replace_key("shop", "server")
    source.refresh_from_db()
    send(userId=dov.user_id, traits={"firstName": "Dov"})

    assert shown(dov, Place.TOKEN) == {"given_name": "Dov"}


def test_a_server_joins_by_alias_who_has_no_account_and_no_others(send, source, dov, fay):
    replace_key("shop", "server")
    source.refresh_from_db()
    send("page", userId="c-1")
    send("page", userId="c-2")
    send("alias", userId="c-2", previousId="c-1")
    send("alias", userId=dov.user_id, previousId=fay.user_id)

    assert find_by_identity("external", "c-1") == find_by_identity("external", "c-2")
    assert_apart(dov, fay)
    assert pairs() == {("alias", frozenset({dov.user_id, fay.user_id}))}


def test_a_servers_key_is_kept_as_a_fingerprint_and_changing_the_kind_changes_the_key(source):
    public = source.write_key
    key = replace_key("shop", "server")
    source.refresh_from_db()
    assert key not in (public, source.write_key)

    replace_key("shop", "public")
    source.refresh_from_db()

    assert source.write_key not in (public, key)


@pytest.mark.parametrize("provider", ["auth0", "google-oauth2"])
def test_old_identities_have_the_usual_asserter(standard_setup, provider):
    profile, _ = get_or_create_by_identity(provider, "1")

    assert (
        profile.identities.get().asserted_by
        == {
            "auth0": Asserter.CUSTOMER_FRESH,
            "google-oauth2": Asserter.PROVIDER_VOUCHING,
        }[provider]
    )
