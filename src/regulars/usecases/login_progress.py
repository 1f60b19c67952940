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
    CHOOSE_QUESTION = "choose_question"
    ASK_QUESTION = "ask_question"
    RECORD_LOGIN = "record_login"
    QUEUE_ENRICHMENT = "queue_enrichment"
    DECIDE_TOKENS = "decide_tokens"


@dataclass(frozen=True)
class RulesResult:
    """The result of the rules. `scopes` None: as requested. `redirect_by` is the slug of the rule that redirects."""

    id_token: Claims = field(default_factory=dict)
    access_token: Claims = field(default_factory=dict)
    scopes: list[str] | None = None
    redirect_url: str = ""
    redirect_by: str = ""


@dataclass(frozen=True)
class LoginProgress:
    """`done` are the steps that are not repeated; `consented`: the customer allowed the app on the consent page."""

    done: tuple[Step, ...] = ()
    rules: RulesResult | None = None
    consented: bool = False

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
        rules = stored.get("rules")
        return cls(
            done=tuple(Step(each) for each in stored.get("done", ()) if each in set(Step)),
            rules=RulesResult(**{name: rules[name] for name in _RULES_FIELDS if name in rules}) if rules else None,
            consented=stored.get("consented") is True,
        )


_RULES_FIELDS = [each.name for each in fields(RulesResult)]
