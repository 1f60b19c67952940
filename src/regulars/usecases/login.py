"""She logs in: the steps between a live session and the code, top to bottom.

A step may stop the story: `InteractionRequired` sends her browser away and the story goes on at the same place when she is back;
`Denied` ends it. Nothing in questions, enrichment or statistics can hold a login: a fault there is recorded by name
and she goes on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode

from django.db import transaction

from regulars.base import clock
from regulars.base.conditions.document_terms import terms_of
from regulars.base.db.compiled_query import CompiledQuery, CompiledUpdate, param, param_for
from regulars.clients.models import Client
from regulars.consent.view import served
from regulars.profiles.document import user
from regulars.profiles.learn import RULE
from regulars.profiles.models import Profile
from regulars.questions.ask import NotShown, next_question
from regulars.questions.models import Impression, Question
from regulars.rules.decide import Denied
from regulars.rules.models import Rule
from regulars.rules.record import record_refused_write
from regulars.rules.run import Outcome, run

from .enrich import queue_all_sources, queue_enrichment
from .login_context import LoginContext, context_of
from .unit_of_work import changes
from .upstream_tokens import show_tokens
from .users import MetadataWrite, update_metadata

__all__ = ["Decision", "Denied", "InteractionRequired", "Login", "LoginContext", "log_in", "renew"]

log = logging.getLogger("regulars.login")
T = TypeVar("T")

BUDGET = 6.0  # seconds for one stretch of steps; what may be left out is left out after that
SLOW = 1.0  # seconds after which a step is named in the log
REFRESHING = "oauth2-refresh-token"


@dataclass(frozen=True)
class InteractionRequired:
    """The browser goes to `url` first. `why` is "rule" or "question"."""

    why: str
    url: str


@dataclass(frozen=True)
class Decision:
    """What the tokens will say. `scopes` and the claims are final."""

    scopes: list[str]
    id_token: dict[str, Any]
    access_token: dict[str, Any]


@dataclass
class Login:
    """One login on its way through the steps.

    `progress` is JSON and comes back with her after a detour: `done` names the steps that are behind her, the rest is
    what they decided.
    """

    profile: Profile
    client: Client
    visit: LoginContext
    scopes: list[str]
    progress: dict[str, Any] = field(default_factory=dict)
    user: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    ask: Impression | None = None
    decision: Decision | None = None

    @property
    def done(self) -> list[str]:
        names: list[str] = self.progress.setdefault("done", [])
        return names


Step = Callable[[Login], InteractionRequired | Denied | None]


def log_in(login: Login, issue: Callable[[Decision], T]) -> T | InteractionRequired | Denied:
    """Take her through the steps that are left; `issue` makes of the decision what the browser brings home.

    `issue` runs in the transaction that records the login: neither is there without the other.
    """
    stopped = _walk(ASKING, login)
    if stopped:
        return stopped
    with transaction.atomic():
        _walk(FINISHING, login)
        assert login.decision is not None
        return issue(login.decision)


def renew(login: Login) -> Decision | Denied:
    """The same without a browser, for a refresh token: rules decide anew, nobody is asked, no login is counted."""
    stopped = _walk(RENEWING, login)
    if isinstance(stopped, InteractionRequired):
        return Denied("interaction_required", "A rule of this site wants her to see a page. Sign her in again.")
    if stopped:
        return stopped
    assert login.decision is not None
    return login.decision


def run_rules_again(progress: dict[str, Any]) -> dict[str, Any]:
    """The progress of somebody who comes back from a rule's page: rules run once more, as Auth0's do."""
    return {**progress, "done": [name for name in progress.get("done", []) if name != run_rules.__name__]}


def collect_social_facts(login: Login) -> None:
    """What the network said is known since she arrived; rules, where there are any, get it as it stands now."""
    if _rules.exists():
        login.user = served(login.profile)
        show_tokens(login.user, login.profile)
        login.context = context_of(login.profile, login.client, login.visit, login.scopes)


def run_rules(login: Login) -> Denied | None:
    if not login.context:
        return None
    before = _wanted_before(login.progress.get("rules", {}))
    outcome = run("login", login.user, login.context, profile_id=login.profile.pk, before=before)
    _write_for_rules(login.profile, outcome)
    login.progress["rules"] = {
        "id_token": outcome.id_token_claims,
        "access_token": outcome.access_token_claims,
        "scopes": outcome.scopes,
        "redirect": outcome.redirect_url,
        "redirect_by": outcome.redirect_by,
    }
    return outcome.denied


def _wanted_before(rules: dict[str, Any]) -> Outcome | None:
    """What rules wanted when one of them sent her away."""
    if not rules.get("redirect"):
        return None
    return Outcome(rules["id_token"], rules["access_token"], rules["scopes"], redirect_by=rules.get("redirect_by", ""))


def maybe_redirect(login: Login) -> InteractionRequired | None:
    url = login.progress.get("rules", {}).get("redirect")
    return InteractionRequired("rule", url) if url else None


def choose_question(login: Login) -> None:
    if login.visit.silent or not _questions.exists():
        return
    visit = login.visit
    chosen = next_question(login.profile, locale=visit.locale, client_id=login.client.pk, interactive=not visit.busy)
    login.ask = None if isinstance(chosen, NotShown) else chosen


def maybe_ask(login: Login) -> InteractionRequired | None:
    return InteractionRequired("question", "/question?" + urlencode({"ask": login.ask.pk})) if login.ask else None


def record_login(login: Login) -> None:
    """Count it and tell the house."""
    if not login.visit.is_login:
        return
    with changes(login.profile, "login") as c:
        profile = c.profile
        profile.last_login = profile.last_seen_at = clock.now()
        profile.last_ip = login.visit.ip[:45]
        profile.logins_count += 1
        profile.terms = terms_of(user(profile))
        _count(id=profile.pk, **{name: getattr(profile, name) for name in COUNTED})
        properties = {"connection": login.visit.connection, "client": login.client.pk, "client_name": login.client.name}
        c.record_event("Signed In", properties)


@transaction.atomic
def ask_sources(login: Login) -> None:
    """Every source that is switched on is asked after the login; what it tells is there at the next one."""
    if login.visit.is_login:
        queue_all_sources(login.profile)


def decide_claims(login: Login) -> None:
    rules = login.progress.get("rules", {})
    scopes = login.scopes if rules.get("scopes") is None else _permitted(rules["scopes"], login)
    login.decision = Decision(
        scopes=scopes,
        id_token=rules.get("id_token", {}),
        access_token=rules.get("access_token", {}),
    )


# What every login asks, written as SQL once.
COUNTED = ("last_login", "last_seen_at", "last_ip", "logins_count", "terms")
_rules = CompiledQuery(lambda: Rule.objects.filter(moment="login", enabled=True).values_list("pk")[:1])
_questions = CompiledQuery(lambda: Question.objects.filter(enabled=True).values_list("pk")[:1])
_count = CompiledUpdate(
    lambda: (Profile.objects.filter(pk=param("id")), {name: param_for(Profile, name) for name in COUNTED})
)

ASKING: list[Step] = [
    collect_social_facts,
    run_rules,
    maybe_redirect,
    choose_question,
    maybe_ask,
]
FINISHING: list[Step] = [
    record_login,
    ask_sources,
    decide_claims,
]
RENEWING: list[Step] = [
    collect_social_facts,
    run_rules,
    maybe_redirect,
    decide_claims,
]
# Worth having, not worth waiting for.
OPTIONAL = {choose_question.__name__, record_login.__name__, ask_sources.__name__}


def _walk(steps: list[Step], login: Login) -> InteractionRequired | Denied | None:
    started = time.monotonic()
    for step in steps:
        if step.__name__ in login.done:
            continue
        stopped = _take(step, login, time.monotonic() - started)
        if step is not collect_social_facts:  # what it collects is as fresh as this request
            login.done.append(step.__name__)
        if stopped:
            return stopped
    return None


def _take(step: Step, login: Login, used: float) -> InteractionRequired | Denied | None:
    """One step with its time. What is optional gives way when the time is up, and its faults are only written down."""
    if step.__name__ not in OPTIONAL:
        return _timed(step, login)
    if used > BUDGET:
        log.warning("login step %s was left out: the steps before it took %.1f s", step.__name__, used)
        return None
    try:
        return _timed(step, login)
    except Exception:
        log.exception("login step %s failed for profile %s; she goes on", step.__name__, login.profile.pk)
        return None


def _timed(step: Step, login: Login) -> InteractionRequired | Denied | None:
    started = time.monotonic()
    stopped = step(login)
    took = time.monotonic() - started
    if took > SLOW:
        log.warning("login step %s took %.1f s", step.__name__, took)
    return stopped


def _permitted(wanted: list[str], login: Login) -> list[str]:
    """A rule may widen what our own app gets. Somebody else's app gets what she agreed to, at most."""
    if login.client.first_party:
        return wanted
    return [scope for scope in wanted if scope in login.scopes]


def _write_for_rules(profile: Profile, outcome: Outcome) -> None:
    """Write the metadata that rules asked for, and queue their look-ups. Neither can hold a login up.

    A refused write is recorded as a failed step of its rule; the other writes are kept.
    """
    writes = [MetadataWrite(f"{RULE}{each.rule_slug}", each.bag, each.data) for each in outcome.metadata_updates]
    try:
        with transaction.atomic():
            for refused in update_metadata(profile, writes):
                slug, keys = refused.write.source.removeprefix(RULE), [*refused.write.data]
                record_refused_write(outcome.run_id, slug, refused.write.bag, keys, refused.error)
            for source_key in outcome.enrichments:
                queue_enrichment(profile, source_key)
    except Exception:
        log.exception("writes of rules about profile %s failed; the login goes on", profile.pk)
