"""Any HTTP API that answers JSON, described by a form: an address with {attributes}, a header, and what to take."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from regulars.base.errors import Invalid

from ..calls import ask, check_url, record
from ..source import SettingField

_SLOT = re.compile(r"\{([a-z_]{1,64})\}")
_HEADER = re.compile(r"[A-Za-z0-9-]{0,64}")
_TAKE = re.compile(r"([a-z][a-z0-9_]{0,63}) *= *([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+){0,9})")
PLAIN = (str, int, float, bool)


@dataclass(frozen=True)
class HttpSource:
    """`needs` and `gives` are those of the form; without settings it needs and gives nothing."""

    needs: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()
    title: str = "Your own HTTP source"
    help: str = "Asks an address of yours and takes what you say out of its JSON answer."
    fields: tuple[SettingField, ...] = (
        SettingField("url", "Address", "With attributes in braces: https://example.com/people?email={email}."),
        SettingField(
            "take", "What to take", "One a line: attribute = path.in.the.answer, such as employer = company.name."
        ),
        SettingField(
            "header", "Header", "The name of a header that lets us in, such as Authorization.", required=False
        ),
        SettingField("header_value", "Value of the header", secret=True, required=False),
    )
    purpose: str = "enrich"
    is_about_areas: bool = False
    source_kind: str = "enriched"
    confidence: float = 0.7
    fresh_days: int = 90
    nothing_days: int = 30
    taken: Mapping[str, str] = field(default_factory=dict)

    def shaped(self, settings: Mapping[str, str]) -> HttpSource:
        taken = _taken(settings["take"])
        needs = tuple(dict.fromkeys(_SLOT.findall(settings["url"])))
        return HttpSource(needs=needs, gives=tuple(taken), taken=taken)

    def check(self, settings: Mapping[str, str]) -> None:
        """`Invalid("bad_url" | "no_attribute" | "bad_take" | "bad_header")`."""
        check_url(settings["url"])
        host = settings["url"].split("/", 3)[2]
        if _SLOT.search(host):
            raise Invalid("bad_url", "The address must name its host: no attribute may choose whom we call.")
        if not _SLOT.search(settings["url"]):
            raise Invalid("no_attribute", "The address has no attribute in braces, so it asks about nobody.")
        if not _HEADER.fullmatch(settings["header"]):
            raise Invalid("bad_header", "A header's name has letters, digits and dashes.")
        _taken(settings["take"])

    def question(self, traits: Mapping[str, Any]) -> str | None:
        """Every attribute of the address must be known, and be a word or a number."""
        told = {need: traits.get(need) for need in self.needs}
        if not told or not all(isinstance(value, PLAIN) and str(value) for value in told.values()):
            return None
        return json.dumps({key: str(value) for key, value in told.items()}, sort_keys=True)

    def ask(self, question: str, settings: Mapping[str, str]) -> Mapping[str, Any]:
        told = json.loads(question)
        url = _SLOT.sub(lambda slot: quote(told[slot[1]], safe=""), settings["url"])
        headers = {settings["header"]: settings["header_value"]} if settings["header"] else {}
        said = record(ask("GET", url, headers=headers), "The source")
        found = {attribute: _at(said, path) for attribute, path in self.taken.items()}
        return {attribute: value for attribute, value in found.items() if isinstance(value, PLAIN) and value != ""}


def _taken(text: str) -> dict[str, str]:
    taken = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        match = _TAKE.fullmatch(line)
        if match is None:
            raise Invalid("bad_take", "Each line reads: attribute = path.in.the.answer.")
        taken[match[1]] = match[2]
    if not taken:
        raise Invalid("bad_take", "Say at least one line: attribute = path.in.the.answer.")
    return taken


def _at(said: Any, path: str) -> Any:
    for step in path.split("."):
        if isinstance(said, list) and step.isdigit() and int(step) < len(said):
            said = said[int(step)]
        elif isinstance(said, dict):
            said = said.get(step)
        else:
            return None
    return said


http_source = HttpSource()
