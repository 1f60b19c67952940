"""What rules write after their callback is stored and recorded, after what the login itself wrote."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from tests.receivers import Answer, Receiver, receiving

from regulars.base.jobs.models import Job
from regulars.clients.models import Client
from regulars.oauth.grant import TokenDecision
from regulars.profiles.models import Profile
from regulars.rules.invocation import LateStep
from regulars.rules.models import RuleRun
from regulars.rules.save import save_rule
from regulars.usecases.erase import erase_customer
from regulars.usecases.login import Denied, Login, LoginContext, log_in, renew
from regulars.usecases.rule_writes import store_late
from regulars.usecases.users import link

pytestmark = pytest.mark.django_db(transaction=True)

# What Auth0's gallery does: call back, make a lead elsewhere, and mark the customer so that the next login makes none.
MAKES_LEAD = """function (user, context, callback) {
  callback(null, user, context);
  if (user.app_metadata && user.app_metadata.lead) return;
  auth0.users.updateUserMetadata(user.user_id, { lead: 'asked for' });
  request.post({ url: 'URL/lead', json: { email: user.email } }, function (error, response, body) {
    if (error || response.statusCode !== 200) return console.log('no lead');
    auth0.users.updateAppMetadata(user.user_id, { lead: body.id });
    auth0.users.updateUserMetadata(user.user_id, { lead: 'made' });
    regulars.enrich('us-census-acs');
  });
}"""


@pytest.fixture
def shop(transactional_db: None, standard_setup: None) -> Client:
    return Client.objects.create(client_id="shop", name="Harbour & Pine")


@pytest.fixture
def partner(settings: Any) -> Iterator[Receiver]:
    settings.DEMO = True  # rules may call this machine
    with receiving(Answer(body=b'{"id": 7}', headers={"content-type": "application/json"})) as server:
        yield server


def sign_in(profile: Profile, shop: Client, work: Callable[[Login], object] | None = None) -> object:
    login = Login(profile, shop, LoginContext(protocol="oidc-basic-profile"), ["openid"])
    return work(login) if work else log_in(login, lambda decision: decision)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, list(RuleRun.objects.values("steps", "effects"))
        time.sleep(0.02)


def late(run: RuleRun) -> list[str]:
    run.refresh_from_db()
    found: list[str] = run.effects.get("late", [])
    return found


def document(profile: Profile) -> dict[str, Any]:
    profile.refresh_from_db()
    found: dict[str, Any] = profile.document
    return found


def test_mark_after_callback_is_stored_and_the_next_login_makes_no_lead(chika, shop, partner):
    save_rule("Make lead", script=MAKES_LEAD.replace("URL", partner.url))
    assert isinstance(sign_in(chika, shop), TokenDecision)
    until(lambda: "lookup us-census-acs" in late(RuleRun.objects.get()))
    sign_in(chika, shop)

    assert len(partner.received) == 1
    assert document(chika)["app_metadata"] == {"lead": 7}
    assert document(chika)["user_metadata"] == {"lead": "made"}  # the later write is the one that stays
    facts = chika.facts.filter(attribute="app_metadata.lead", retracted_at=None)
    assert [(fact.source, fact.asserter) for fact in facts] == [("rule:make-lead@1", "rule")]
    assert Job.objects.filter(kind="enrich").count() == 1


def test_late_write_is_in_the_record_of_its_run(chika, shop, partner):
    save_rule("Make lead", script=MAKES_LEAD.replace("URL", partner.url))
    sign_in(chika, shop)
    run = RuleRun.objects.get()
    until(lambda: late(run))

    assert run.effects["metadata"] == ["user_metadata.lead"]
    assert run.effects["late"] == ["app_metadata.lead", "lookup us-census-acs", "user_metadata.lead"]
    assert [request["status"] for request in run.steps[0]["requests"]] == [200]


@pytest.mark.parametrize("kind", ["refresh token", "denied", "fault while tokens are issued"])
def test_every_end_of_a_login_lets_rules_go_on(chika, shop, partner, kind):
    script = MAKES_LEAD.replace("URL", partner.url)
    if kind == "denied":
        script = script.replace("callback(null, user, context)", "callback(new UnauthorizedError('no'))")
    save_rule("Make lead", script=script)

    def broken(decision: TokenDecision) -> None:
        raise ZeroDivisionError

    if kind == "refresh token":
        assert isinstance(sign_in(chika, shop, renew), TokenDecision)
    elif kind == "denied":
        assert isinstance(sign_in(chika, shop), Denied)
    else:
        with pytest.raises(ZeroDivisionError):
            sign_in(chika, shop, lambda login: log_in(login, broken))
    until(lambda: late(RuleRun.objects.get()))

    assert document(chika)["app_metadata"] == {"lead": 7}


def test_refused_late_write_is_a_failed_step_and_the_others_are_kept(chika, shop, partner):
    save_rule("late", script=f"""function (user, context, callback) {{
      callback(null, user, context);
      request('{partner.url}', () => {{
        auth0.users.updateAppMetadata(user.user_id, {{ 'a.b': 1 }});
        auth0.users.updateAppMetadata(user.user_id, {{ good: 1 }});
      }});
    }}""")  # fmt: skip
    sign_in(chika, shop)
    run = RuleRun.objects.get()
    until(lambda: late(run))

    assert (run.steps[0]["how"], run.steps[0]["fault"]) == ("failed", "invalid_metadata_key")
    assert run.effects["late"] == ["app_metadata.good"]
    assert document(chika)["app_metadata"] == {"good": 1}


def test_late_writes_of_two_logins_both_stay(chika, shop, partner):
    """Each login writes a key of its own and one that both write: the later login's word is the one that stays."""
    save_rule("late", script=f"""function (user, context, callback) {{
      const name = context.request.query.name;
      callback(null, user, context);
      request('{partner.url}/' + name, () => auth0.users.updateAppMetadata(user.user_id, {{ [name]: 1, last: name }}));
    }}""")  # fmt: skip
    partner.routes["/first"] = Answer(wait=60)
    for name in ("first", "second"):
        context = LoginContext(protocol="oidc-basic-profile", query={"name": name})
        log_in(Login(Profile.objects.get(pk=chika.pk), shop, context, ["openid"]), lambda decision: decision)
    second, first = RuleRun.objects.order_by("-pk")
    until(lambda: late(second))
    partner.over.set()
    until(lambda: late(first))

    assert document(chika)["app_metadata"] == {"first": 1, "second": 1, "last": "first"}


def test_customer_erased_meanwhile_stays_erased(chika, shop, partner):
    save_rule("Make lead", script=MAKES_LEAD.replace("URL", partner.url))
    sign_in(chika, shop)
    until(lambda: late(RuleRun.objects.get()))
    run_id, profile_id = RuleRun.objects.get().pk, chika.pk
    erase_customer(chika, "customer")

    store_late(profile_id, run_id, LateStep("make-lead", [{"bag": "app_metadata", "data": {"lead": 8}}]))

    assert not Profile.objects.filter(pk=profile_id, document__has_key="app_metadata").exists()
    assert not RuleRun.objects.exists()


def test_customer_merged_meanwhile_is_written_as_the_one_they_are_now(chika, shop, make_customer):
    other = make_customer()
    save_rule("noop", script="function (u, c, cb) { cb(null, u, c); }")
    sign_in(chika, shop)
    link(other, chika, "test")

    store_late(chika.pk, RuleRun.objects.get().pk, LateStep("noop", [{"bag": "app_metadata", "data": {"lead": 8}}]))

    assert document(other)["app_metadata"]["lead"] == 8


def test_late_fault_is_recorded_beside_the_step(chika, shop):
    save_rule("noop", script="function (u, c, cb) { cb(null, u, c); }")
    sign_in(chika, shop)
    run = RuleRun.objects.get()

    store_late(chika.pk, run.pk, LateStep("noop", console=["hello"], fault="too_much_cpu"))

    run.refresh_from_db()
    assert run.steps[0]["console"] == ["hello"]
    assert run.effects["late_faults"] == ["noop: too_much_cpu"]


def test_login_inside_a_transaction_goes_on_only_when_it_is_committed(chika, shop, partner):
    save_rule("Make lead", script=MAKES_LEAD.replace("URL", partner.url))
    with transaction.atomic():
        sign_in(chika, shop)
        assert connection.in_atomic_block
        assert late(RuleRun.objects.get()) == []
    until(lambda: late(RuleRun.objects.get()))

    assert document(chika)["user_metadata"] == {"lead": "made"}
