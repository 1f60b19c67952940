"""Progress of a login: what its steps decided so far, stored as JSON while the browser is at a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from typing import Any

from regulars.base.tokens.jwt import Claims

VERSION = 1


class Step(StrEnum):
    """The steps of a login, by the keys under which they are stored."""

    LOAD_USER = "load_user"
    RUN_RULES = "run_rules"
    REDIRECT = "redirect"
    SECOND_FACTOR = "second_factor"
    CHOOSE_QUESTION = "choose_question"
    ASK_QUESTION = "ask_question"
    RECORD_LOGIN = "record_login"
    QUEUE_ENRICHMENT = "queue_enrichment"
    DECIDE_TOKENS = "decide_tokens"


@dataclass(frozen=True)
class RulesResult:
    """The result of the rules. `scopes` None: as requested. A claim with the value None is withheld. `redirect_by` is the slug of the rule that redirects.

    `second_factor`: a rule demands that the session has one.
    """

    id_token: Claims = field(default_factory=dict)
    access_token: Claims = field(default_factory=dict)
    scopes: list[str] | None = None
    redirect_url: str = ""
    redirect_by: str = ""
    second_factor: bool = False


@dataclass(frozen=True)
class RulePage:
    """The page of a rule that the browser came back from: the query it brought, and what rules had decided before."""

    query: Mapping[str, Any] = field(default_factory=dict)
    before: RulesResult = field(default_factory=RulesResult)


@dataclass(frozen=True)
class LoginProgress:
    """`done` are the steps that are not repeated; `consented`: the customer allowed the app on the consent page.

    `rules_seconds`: time that the last run of rules took. `asked`: id of the impression of the question that was shown.
    `page`: of a rule, once the browser came back from it. `factor_asked`: the customer was sent to the page of the second factor.
    """

    done: tuple[Step, ...] = ()
    rules: RulesResult | None = None
    consented: bool = False
    rules_seconds: float = 0.0
    asked: int = 0
    page: RulePage | None = None
    factor_asked: bool = False

    def with_done(self, step: Step) -> LoginProgress:
        return replace(self, done=(*self.done, step))

    def without(self, step: Step) -> LoginProgress:
        return replace(self, done=tuple(each for each in self.done if each != step))

    def to_json(self) -> dict[str, Any]:
        return {"version": VERSION, **asdict(self), "done": list(self.done)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> LoginProgress:
        """Return the stored progress. Another version starts anew: its steps are repeated, and nothing is skipped."""
        if stored.get("version") != VERSION:
            return cls()
        page = stored.get("page")
        return cls(
            done=tuple(Step(each) for each in stored.get("done", ()) if each in set(Step)),
            rules=_rules_result(stored.get("rules")),
            consented=stored.get("consented") is True,
            rules_seconds=float(stored.get("rules_seconds") or 0),
            asked=int(stored.get("asked") or 0),
            page=RulePage(page["query"], _rules_result(page["before"]) or RulesResult()) if page else None,
            factor_asked=stored.get("factor_asked") is True,
        )


def _rules_result(stored: Mapping[str, Any] | None) -> RulesResult | None:
    return RulesResult(**{name: stored[name] for name in _RULES_FIELDS if name in stored}) if stored else None


_RULES_FIELDS = [each.name for each in fields(RulesResult)]
