"""Log a customer in: the steps between a live session and the tokens of an app, in their order.

A step may stop the login. `InteractionRequired` sends the browser to a page, and the login resumes at the same step when
the browser is back; `Denied` ends the login. Faults in questions, enrichment or statistics never hold a login: they are
logged with the name of the step, and the login continues.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import TypeVar
from urllib.parse import urlencode

from django.db import transaction
from django.db.models import Q

from regulars.base import clock
from regulars.base.client_network import stored_ip
from regulars.base.db.compiled_query import CompiledQuery, CompiledUpdate, param, param_for
from regulars.base.db.deadlocks import is_deadlock, repeat_after_deadlock
from regulars.base.text import storable
from regulars.clients.models import Client
from regulars.consent.view import served_user
from regulars.events.own_events import OwnEvent
from regulars.oauth.grant import TokenDecision
from regulars.oauth.models import PendingLogin
from regulars.profiles.assertions import Place
from regulars.profiles.auth0_user import Auth0User
from regulars.profiles.document import account_terms
from regulars.profiles.models import Profile
from regulars.profiles.row_locks import noticing_erasure
from regulars.questions.models import Impression, Question
from regulars.questions.next_question import NotShown, next_question
from regulars.rules.auth0_context import Auth0Context
from regulars.rules.decide import Denied
from regulars.rules.models import Rule
from regulars.rules.run import MAX_SECONDS, RulesOutcome, run

from .enrich import queue_all_sources
from .login_context import BACK_FROM_RULE, LoginContext, context_of
from .login_progress import LoginProgress, RulePage, RulesResult, Step
from .record_disclosures import record_tokens
from .renew_upstream_tokens import show_tokens
from .rule_calls import CustomerCallGate
from .rule_writes import continue_rules, write_for_rules
from .unit_of_work import changes

__all__ = ["Denied", "InteractionRequired", "Login", "LoginContext", "log_in", "renew"]

log = logging.getLogger("regulars.login")
T = TypeVar("T")

BUDGET = 6.0  # seconds for the steps of one request; optional steps are skipped after that
SHORTEST_RERUN = 1.0  # seconds; with less time left, rules do not run once more after an answer
SLOW = 1.0  # seconds after which a step is logged
REFRESHING = "oauth2-refresh-token"
MFA_REQUIRED = "Multifactor authentication required. Sign the customer in with a browser."
NO_SECOND_FACTOR = "The customer did not use a second factor."
SECOND_FACTOR_PAGE = "/second-factor?demanded=1"  # demanded: it cannot be declined


@dataclass(frozen=True)
class InteractionRequired:
    """The browser must visit the page `url` first. `reason` is a value of `PendingLogin.Wait`."""

    reason: str
    url: str


@dataclass
class Login:
    """One login of a customer at a client. `progress` survives a visit of the browser to another page.

    `user` and `context` are Auth0's; None when there are no rules to read them.
    """

    profile: Profile
    client: Client
    browser: LoginContext
    scopes: list[str]
    progress: LoginProgress = field(default_factory=LoginProgress)
    user: Auth0User | None = None
    context: Auth0Context | None = None
    outcome: RulesOutcome | None = None  # of the rules that ran in this request
    impression: Impression | None = None
    decision: TokenDecision | None = None
    sees_answer: bool = False  # rules run once more, because the customer answered a question
    single_claims: Collection[str] = ()  # what the app requested beside its scopes (`oauth.requested_claims`)

    @property
    def rules(self) -> RulesResult:
        return self.progress.rules or RulesResult()


Stopped = InteractionRequired | Denied | None


def log_in(login: Login, issue: Callable[[TokenDecision], T]) -> T | InteractionRequired | Denied:
    """Run the remaining steps; `issue` turns the decision into codes or tokens.

    `issue` runs in the transaction that records the login: neither exists without the other. Writes of rules are part of
    it, so that segments are evaluated once. When they fail, the login continues without them. Raises
    `NotFound("customer_erased")`.
    """
    started = time.monotonic()
    try:
        with noticing_erasure(login.profile):
            _let_rules_see_answer(login)
            stopped = _run(APPLY_RULES, login, started)
            return _write_and_issue(login, issue, stopped, started)
    finally:
        if login.outcome:
            continue_rules(login.profile, login.outcome)


def _write_and_issue(
    login: Login, issue: Callable[[TokenDecision], T], stopped: Stopped, started: float
) -> T | InteractionRequired | Denied:
    outcome, progress = login.outcome, login.progress
    if outcome is None or not outcome.metadata_updates:
        if outcome is not None:
            write_for_rules(login.profile, outcome)
        return stopped if stopped else _ask_and_issue(login, issue, started)
    done: list[T | InteractionRequired | Denied] = []
    committed: list[bool] = []

    @repeat_after_deadlock
    def write() -> None:
        login.progress = progress
        done.clear()
        with changes(login.profile, "rules") as c:
            transaction.on_commit(lambda: committed.append(True))
            write_for_rules(login.profile, outcome)
            c.refresh_views()  # for the choice of a question
            done.append(stopped if stopped else _ask_and_issue(login, issue, started))

    try:
        write()
        return done[0]
    except Exception:
        log.exception("writes of rules about profile %s failed; the login continues", login.profile.pk)
        if committed:  # what failed came after it, as the file of the journal: nothing is counted and issued twice
            return done[0]
        login.progress = progress
        return stopped if stopped else _ask_and_issue(login, issue, started)


def _ask_and_issue(
    login: Login, issue: Callable[[TokenDecision], T], started: float
) -> T | InteractionRequired | Denied:
    if stopped := _run(BEFORE_COMMIT, login, started):
        return stopped
    progress = login.progress

    @repeat_after_deadlock
    @transaction.atomic
    def commit() -> T:
        login.progress = progress
        _run(IN_COMMIT, login)
        assert login.decision is not None
        return issue(login.decision)

    return commit()


def renew(login: Login) -> TokenDecision | Denied:
    """Decide anew for a refresh token, without a browser: rules run, no question is asked, no login is counted."""
    stopped = _run(APPLY_RULES, login)
    if login.outcome:
        write_for_rules(login.profile, login.outcome)
        continue_rules(login.profile, login.outcome)
    stopped = stopped or _run(RENEWAL, login)
    if isinstance(stopped, InteractionRequired):
        if stopped.reason == PendingLogin.Wait.LOGIN:
            return Denied("mfa_required", MFA_REQUIRED)
        return Denied(
            "interaction_required", "A rule of this site must show the customer a page. Sign the customer in again."
        )
    if stopped:
        return stopped
    assert login.decision is not None
    return login.decision


def load_user(login: Login) -> None:
    """Load what rules get, as it is now. Without rules nothing is loaded."""
    if _rules.exists():
        login.user = served_user(login.profile, Place.RULES)
        show_tokens(login.user, login.profile)
        login.context = context_of(login.profile, login.client, login.browser, login.scopes)


def _let_rules_see_answer(login: Login) -> None:
    """Let rules run once more, as after a page of their own, when a question of this login was answered and wants that.

    They can neither redirect nor lead to another question. What their first run left of the time for rules is theirs.
    """
    progress = login.progress
    if not progress.asked:
        return
    asked = Q(pk=progress.asked) | Q(follows=progress.asked) | Q(follows__follows=progress.asked)
    answered = Impression.objects.filter(asked, profile=login.profile, outcome=Impression.Outcome.ANSWERED)
    login.progress = progress = replace(progress, asked=0)
    if not answered.filter(question__rules_see_answer=True).exists():
        return
    if progress.rules_seconds > MAX_SECONDS - SHORTEST_RERUN:
        log.warning("rules of profile %s do not see the answer: their time is used up", login.profile.pk)
        return
    login.progress = progress.without(Step.RUN_RULES)
    query = progress.page.query if progress.page else login.browser.query
    login.browser = replace(login.browser, protocol=BACK_FROM_RULE, query=query)
    login.sees_answer = True


def run_rules(login: Login) -> Denied | None:
    if login.user is None or login.context is None:
        return None
    page, used = login.progress.page, 0.0
    if login.sees_answer:
        used = login.progress.rules_seconds
    elif login.rules.redirect_url:
        page = RulePage(storable(dict(login.browser.query)), login.rules)
    before, started = page.before if page else None, time.monotonic()
    outcome = run(
        "login",
        login.user,
        login.context,
        profile_id=login.profile.pk,
        before=RulesOutcome(
            before.id_token,
            before.access_token,
            scopes=before.scopes,
            second_factor=before.second_factor,
            redirect_by=before.redirect_by,
        )
        if before
        else None,
        seconds=MAX_SECONDS - used,
        gate=CustomerCallGate(login.profile.pk, login.user, login.browser.ip),
    )
    login.outcome = outcome
    result = RulesResult(
        id_token={**dict.fromkeys(outcome.withheld), **outcome.id_token_claims},
        access_token=outcome.access_token_claims,
        scopes=outcome.scopes,
        redirect_url=outcome.redirect_url or "",
        redirect_by=outcome.redirect_by,
        second_factor=outcome.second_factor,
    )
    took = time.monotonic() - started
    login.progress = replace(login.progress, rules=result, rules_seconds=took, page=page)
    return outcome.denied


def redirect(login: Login) -> InteractionRequired | None:
    return InteractionRequired(PendingLogin.Wait.RULE, login.rules.redirect_url) if login.rules.redirect_url else None


def require_second_factor(login: Login) -> Stopped:
    """Ask once in a login for the second factor that a rule demands.

    With it the login goes on as the rules decided, which do not run again; without it the login ends.
    """
    if not login.rules.second_factor or "mfa" in login.browser.amr:
        return None
    if login.progress.factor_asked:
        return Denied("unmet_authentication_requirements", NO_SECOND_FACTOR)
    login.progress = replace(login.progress, factor_asked=True)
    return InteractionRequired(PendingLogin.Wait.LOGIN, SECOND_FACTOR_PAGE)


def choose_question(login: Login) -> None:
    browser = login.browser
    if browser.silent or not _questions.exists():
        return
    chosen = next_question(
        login.profile, locale=browser.locale, client_id=login.client.pk, interactive=not browser.busy
    )
    login.impression = None if isinstance(chosen, NotShown) else chosen


def ask_question(login: Login) -> InteractionRequired | None:
    if login.impression is None:
        return None
    login.progress = replace(login.progress, asked=login.impression.pk)
    return InteractionRequired(
        PendingLogin.Wait.QUESTION, "/question?" + urlencode({"impression": login.impression.pk})
    )


def record_login(login: Login) -> None:
    """Count the login, and record it as an event."""
    if not login.browser.is_login:
        return
    with changes(login.profile, "login") as c:
        profile = c.profile
        profile.last_login = profile.last_seen_at = clock.now()
        profile.last_ip = stored_ip(login.browser.ip)[:45]
        profile.logins_count += 1
        profile.terms = account_terms(profile)
        _count(id=profile.pk, **{name: getattr(profile, name) for name in COUNTED})
        properties = {
            "connection": login.browser.connection,
            "client": login.client.pk,
            "client_name": login.client.name,
        }
        c.record_event(OwnEvent.SIGNED_IN, properties)


@transaction.atomic
def queue_sources(login: Login) -> None:
    """Queue every enabled enrichment source. Its results are there at the next login."""
    if login.browser.is_login:
        queue_all_sources(login.profile)


def decide_tokens(login: Login) -> None:
    """Take the scopes of rules. A rule may widen those of a first-party app; another app gets at most what was consented."""
    rules, scopes = login.rules, login.scopes
    if rules.scopes is not None:
        first_party = login.client.first_party
        scopes = [scope for scope in rules.scopes if first_party or scope in login.scopes]
    login.decision = TokenDecision(scopes, rules.id_token, rules.access_token, by_rules=rules.scopes is not None)
    if not login.client.first_party:
        single = [name for name in login.single_claims if login.decision.permits(name)]
        disclosed = [name for name, value in rules.id_token.items() if value is not None]
        record_tokens(
            login.profile,
            login.client,
            scopes,
            [*disclosed, *rules.access_token],
            single,
            withheld=rules.id_token.keys() - disclosed,
        )


# Queries of every login, compiled to SQL once.
COUNTED = ("last_login", "last_seen_at", "last_ip", "logins_count", "terms")
_rules = CompiledQuery(lambda: Rule.objects.filter(moment="login", enabled=True).values_list("pk")[:1])
_questions = CompiledQuery(lambda: Question.objects.filter(enabled=True).values_list("pk")[:1])
_count = CompiledUpdate(
    lambda: (Profile.objects.filter(pk=param("id")), {name: param_for(Profile, name) for name in COUNTED})
)

STEPS: dict[Step, Callable[[Login], Stopped]] = {
    Step.LOAD_USER: load_user,
    Step.RUN_RULES: run_rules,
    Step.REDIRECT: redirect,
    Step.SECOND_FACTOR: require_second_factor,
    Step.CHOOSE_QUESTION: choose_question,
    Step.ASK_QUESTION: ask_question,
    Step.RECORD_LOGIN: record_login,
    Step.QUEUE_ENRICHMENT: queue_sources,
    Step.DECIDE_TOKENS: decide_tokens,
}
APPLY_RULES = [Step.LOAD_USER, Step.RUN_RULES]
BEFORE_COMMIT = [Step.REDIRECT, Step.SECOND_FACTOR, Step.CHOOSE_QUESTION, Step.ASK_QUESTION]
IN_COMMIT = [Step.RECORD_LOGIN, Step.QUEUE_ENRICHMENT, Step.DECIDE_TOKENS]
RENEWAL = [Step.REDIRECT, Step.SECOND_FACTOR, Step.DECIDE_TOKENS]
# Never done: the loaded data is good for one request only, and the session of every request must have the second factor.
REPEATED = {Step.LOAD_USER, Step.SECOND_FACTOR}
# Steps that never hold a login.
OPTIONAL = {Step.CHOOSE_QUESTION, Step.RECORD_LOGIN, Step.QUEUE_ENRICHMENT}


def _run(steps: list[Step], login: Login, started: float = 0.0) -> Stopped:
    """Run those of the steps that are left. `started` is when the first step of this request began; 0: now."""
    started = started or time.monotonic()
    for step in steps:
        if step in login.progress.done:
            continue
        stopped = _run_step(step, login, time.monotonic() - started)
        if step not in REPEATED:
            login.progress = login.progress.with_done(step)
        if stopped:
            return stopped
    return None


def _run_step(step: Step, login: Login, used: float) -> Stopped:
    """Run one step. An optional step is skipped when the time is used up, and its faults are only logged."""
    if step in OPTIONAL and used > BUDGET:
        log.warning("login step %s was left out: the steps before it took %.1f s", step, used)
        return None
    started = time.monotonic()
    try:
        stopped = STEPS[step](login)
    except Exception as fault:
        if step not in OPTIONAL or is_deadlock(fault):  # a deadlock ended the whole transaction, which begins again
            raise
        log.exception("login step %s failed for profile %s; the login continues", step, login.profile.pk)
        return None
    took = time.monotonic() - started
    if took > SLOW:
        log.warning("login step %s took %.1f s", step, took)
    return stopped
