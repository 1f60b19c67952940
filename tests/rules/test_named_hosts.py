"""Hosts that rules may send data to are read from their code and settings, so that a notice can name them."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from regulars.rules.named_hosts import hosts_in, named_hosts
from regulars.rules.save import save_rule
from regulars.rules.templates import all_templates

FROM_AN_ANSWER = {"eu.my.salesforce.com"}  # the first answer tells where to go on


def is_named(url: str, named: set[str]) -> bool:
    host = urlsplit(url).hostname or ""
    return any(host == each or (each.startswith(".") and host.endswith(each)) for each in named)


def examples():
    for template in all_templates():
        for example in template.examples:
            yield pytest.param(template, example, id=f"{template.key}: {example.name}")


@pytest.mark.parametrize(("template", "example"), list(examples()))
def test_hosts_that_a_template_calls_are_named_and_no_others(template, example):
    settings = {field.key: field.default for field in template.settings} | dict(example.settings)
    called = {urlsplit(each["url"]).hostname for other in template.examples for each in other.http}
    named = hosts_in(template.script, settings)

    missing = [urlsplit(each["url"]).hostname for each in example.http if not is_named(each["url"], named)]
    assert set(missing) <= FROM_AN_ANSWER
    assert called or not named


@pytest.mark.parametrize(
    ("script", "named"),
    [
        ("request.post('https://crm.example/lead', cb)", {"crm.example"}),
        ("const u = `https://${configuration.TENANT}.crm.example/x`; await axios.get(u)", {"mine.crm.example"}),
        ("axios.get('https://' + configuration.HOST + '/x')", {"api.example"}),
        ("fetch(event.secrets.URL)", {"url.example"}),
        ("fetch(configuration['URL'])", {"url.example"}),
        ("fetch('https://key:secret@API.example:8443/x')", {"api.example"}),
        ("// see https://docs.example/\n request.get(configuration.URL)", {"url.example"}),
        ("const ns = 'https://shop.example/'; request.get(configuration.URL); context.idToken[ns + 'a'] = 1", {"url.example"}),
        ("request.get(configuration.URL); context.idToken[configuration.CLAIM] = 1", {"url.example"}),
        ("request.get(configuration.URL); context.idToken['https://shop.example/a'] = 1", {"url.example"}),
        ("context.idToken['https://shop.example/a'] = 'https://pictures.example/a.png'", set()),
        ("request.get(configuration.UNKNOWN)", set()),
    ],
)  # fmt: skip
def test_host_is_read_from_code_and_settings(script, named):
    settings = {
        "TENANT": "mine",
        "HOST": "api.example",
        "URL": "https://url.example/in",
        "CLAIM": "https://claims.example/a",
        "NUMBER": 3,
    }
    assert hosts_in(script, settings) == named


@pytest.mark.django_db
def test_only_rules_that_are_switched_on_name_a_host():
    for name, on in (("one", True), ("two", False)):
        script = f"(user, context, cb) => {{ request.get('https://{name}.example/x'); cb(null, user, context); }}"
        save_rule(name, script=script, enabled=on)
    assert named_hosts() == ["one.example"]
