"""Recipients of a purpose are named: destinations, look-ups, applications of others and hosts of rules."""

from __future__ import annotations

import pytest
from tests.usecases.conftest import SECRET, tell

from regulars.clients.models import Client
from regulars.destinations.save import save_destination, switch_destination
from regulars.enrichment.models import SourceSetting
from regulars.rules.models import Rule, RuleSetting
from regulars.segments.save import save_segment
from regulars.usecases.recipients import recipients_by_purpose, recipients_of


def names(purpose):
    return [str(each) for each in recipients_of(purpose)]


def test_destination_is_named_with_its_host_under_its_purpose(french):
    tell("https://hooks.example.com/in")

    assert names("message") == ["Shop (hooks.example.com)"]
    assert names("share") == []


def test_destination_of_a_segment_is_named_under_the_purpose_of_the_segment(standard_setup):
    save_segment("Near", "country:FR", "personalise")
    save_destination(
        "Shop", "webhook", {"url": "https://a.example", "secret": SECRET}, purpose="message", segment_slugs=["near"]
    )

    assert names("personalise") == names("message") == ["Shop (a.example)"]


def test_destination_that_is_switched_off_is_no_recipient(french):
    switch_destination(tell("https://hooks.example.com").slug, False)

    assert names("message") == []


def test_moved_destination_is_another_recipient(french):
    destination = tell("https://old.example")
    (before,) = recipients_of("message")
    save_destination(
        "Shop",
        "webhook",
        {"url": "https://new.example", "secret": SECRET},
        purpose="message",
        segment_slugs=["french"],
        destination=destination,
    )
    (after,) = recipients_of("message")

    assert (before.key, before.place, after.key, after.place) == ("shop", "old.example", "shop", "new.example")


@pytest.mark.parametrize(
    ("kind", "settings", "name"),
    [
        ("mailchimp", {"api_key": "k-us21", "list_id": "a1"}, "News (us21.api.mailchimp.com)"),
        ("csv", {"file": "news.csv"}, "News"),
        ("parquet", {"folder": "news"}, "News"),
        ("slack", {"url": "https://hooks.slack.com/services/T/B/secret"}, "News (hooks.slack.com)"),
    ],
)
def test_each_kind_names_where_data_goes_and_no_secret(standard_setup, kind, settings, name):
    save_destination("News", kind, settings, purpose="message", segment_slugs=[])

    assert names("message") == [name]


def test_lookups_are_named_unless_they_stay_on_this_machine(standard_setup):
    for key in ("fullcontact", "us-areas", "email"):
        SourceSetting.objects.update_or_create(
            key=key,
            defaults={
                "enabled": True,
                "settings": {"base_url": "https://api.fullcontact.com/v3"},
                "purpose_id": "enrich",
            },
        )

    assert names("enrich") == ["FullContact (api.fullcontact.com)"]


def test_own_http_source_is_named_by_its_host(standard_setup):
    settings = {"url": "https://people.example/by?email={email}", "take": "employer = company"}
    SourceSetting.objects.create(key="http", enabled=True, settings=settings, purpose_id="enrich")

    assert names("enrich") == ["people.example"]


def test_applications_of_other_companies_and_rule_hosts_are_named(standard_setup, settings):
    settings.RULE_HOSTS = ["api.partner.example"]
    Client.objects.create(client_id="own", name="Shop")
    Client.objects.create(client_id="bikes", name="Bikes & Co", first_party=False)
    assert names("serve") == ["Bikes & Co"]
    Rule.objects.create(name="Lead", slug="lead", script="function (user, context, callback) {}")

    assert names("serve") == ["Bikes & Co", "api.partner.example"]


def test_hosts_that_rules_name_themselves_are_named_without_the_setting(standard_setup, settings):
    settings.RULE_HOSTS = []
    script = "(user, context, cb) => { request.post(configuration.CRM_URL); cb(null, user, context); }"
    rule = Rule.objects.create(name="Lead", slug="lead", script=script)
    assert names("serve") == []
    RuleSetting.objects.create(key="CRM_URL", value="https://crm.example/in")
    assert names("serve") == ["crm.example"]
    rule.settings = {"CRM_URL": "https://other.example/in"}
    rule.save()
    assert names("serve") == ["other.example"]


def test_recipients_of_all_purposes_take_as_many_queries_as_of_one(french, django_assert_num_queries):
    tell("https://hooks.example.com")
    with django_assert_num_queries(6):
        recipients_by_purpose()
    for number in range(5):
        Client.objects.create(client_id=f"c{number}", name="Bikes", first_party=False)
    with django_assert_num_queries(6):
        recipients_by_purpose()


def test_what_rules_declare_is_named_under_their_purpose(standard_setup, settings):
    settings.RULE_HOSTS = []
    script = "(user, context, cb) => { request.post('https://crm.example/in'); request.get('https://other.example/'); cb(null, user, context); }"
    recipients = [{"name": "Crm & Co", "hosts": ["crm.example"]}]
    Rule.objects.create(name="Lead", slug="lead", script=script, purpose_id="share", recipients=recipients)

    assert (names("share"), names("serve")) == (["Crm & Co (crm.example)"], ["other.example"])
    assert [str(each) for each in recipients_by_purpose()["share"]] == ["Crm & Co (crm.example)"]
