"""The hosts that rules name in their code or their settings, as far as they can be read there.

A rule may build an address from anything, so a host may be missing; every host that was called is in the record of the run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from .models import Rule, RuleSetting

# Without a call that leaves the process, an address in the code is a name: of a claim, of a picture.
CALLS = re.compile(
    r"(?<!\.)\brequest\b|\b(axios|fetch|got|needle|superagent|urlopen|httpx)\b|\bhttps?\.(get|request)\b"
    r"|\brequire\(\s*['\"](?!@?auth0|crypto|jsonwebtoken|lodash|moment|uuid)"
)
COMMENT = re.compile(r"/\*.*?\*/|(?<![:'\"`])//[^\n]*", re.DOTALL)
SETTING = r"(?:configuration|secrets)(?:\.(\w+)|\[['\"](\w+)['\"]\])"
FILLED = re.compile(rf"\$\{{\s*(?:\w+\.)*{SETTING}\s*\}}|['\"`]\s*\+\s*(?:\w+\.)*{SETTING}(?:\s*\+\s*['\"`])?")
# The name of a claim: `idToken['https://shop.example/tier']`, `idToken[namespace + 'tier']`, `setCustomClaim(namespace, …)`.
CLAIM = r"(?:[Tt]oken(?:['\"]\])?\s*\[|setCustomClaim\()\s*"
CLAIM_NAME = re.compile(rf"{CLAIM}[^\n]*?(?:\](?=\s*[=\];,)\n]|\s*$)|,)", re.MULTILINE)
CLAIM_VARIABLE = re.compile(rf"{CLAIM}(?:`\$\{{\s*)?([A-Za-z_]\w*)\b(?!\.|\[)")
USED = re.compile(SETTING)
BELOW = re.compile(
    r"https?://(?:['\"`]\s*\+[^+\n]*\+\s*['\"`]|\$\{[^}]*\})(\.[a-z0-9-]+(?:\.[a-z0-9-]+)+)", re.IGNORECASE
)
ADDRESS = re.compile(r"https?://(?:[^/\s'\"`@]*@)?([a-z0-9-]+(?:\.[a-z0-9-]+)+)", re.IGNORECASE)


def named_hosts(rules: Sequence[Rule] | None = None) -> list[str]:
    """Return the hosts that the enabled rules name, each once."""
    rules = list(Rule.objects.filter(enabled=True)) if rules is None else rules
    shared = {each.key: each.value for each in RuleSetting.objects.all()} if rules else {}
    return sorted({host for rule in rules for host in hosts_in(rule.script, {**shared, **rule.settings})})


def calls_out(script: str) -> bool:
    """Return whether the code of a rule looks as if it called a service."""
    return CALLS.search(COMMENT.sub("", script)) is not None


def hosts_in(script: str, settings: Mapping[str, Any]) -> set[str]:
    """Return the hosts that one rule names, with the values of the settings that it uses.

    `.example.com` is everything below it: the rule works out the first part.
    """
    if not CALLS.search(script):
        return set()
    texts = tuple(sorted((key, value) for key, value in settings.items() if isinstance(value, str)))
    return set(_hosts_in(script, texts))


@lru_cache(maxsize=256)
def _hosts_in(script: str, settings: tuple[tuple[str, str], ...]) -> frozenset[str]:
    values = dict(settings)
    code = COMMENT.sub("", script)
    variables = set(CLAIM_VARIABLE.findall(code))
    code = CLAIM_NAME.sub("[]", code)
    for name in variables:
        code = re.sub(rf"\b{name}\s*=\s*(['\"`])[^'\"`\n]*\1", "", code)
    code = FILLED.sub(lambda match: values.get(_key(match), ""), code)
    used = [values.get(_key(match), "") for match in USED.finditer(code)]
    found = [*BELOW.findall(code), *(host for text in (code, *used) for host in ADDRESS.findall(text))]
    return frozenset(map(str.lower, found))


def _key(match: re.Match[str]) -> str:
    return next((group for group in match.groups() if group), "")
