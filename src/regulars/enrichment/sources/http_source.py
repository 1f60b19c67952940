"""Any HTTP API with a JSON answer, described by a form: an address with {attributes}, a header, and paths to take."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from regulars.base.errors import Invalid
from regulars.base.plugins.fields import check_web_address

from ..calls import ask, record
from ..source import EnrichmentSource, SettingField

_SLOT = re.compile(r"\{([a-z_]{1,64})\}")
_HEADER = re.compile(r"[A-Za-z0-9-]{0,64}")
_TAKE = re.compile(r"([a-z][a-z0-9_]{0,63}) *= *([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+){0,9})")
PLAIN = (str, int, float, bool)


class HttpSource(EnrichmentSource):
    """`needs` and `gives` are those of the form; without settings there are none."""

    title = "Your own HTTP source"
    help = "Calls an address of yours and takes values out of its JSON answer."
    fields = (
        SettingField("url", "Address", "With attributes in braces: https://example.com/people?email={email}."),
        SettingField(
            "take", "What to take", "One a line: attribute = path.in.the.answer, such as employer = company.name."
        ),
        SettingField(
            "header", "Header", "The name of a header for authentication, such as Authorization.", required=False
        ),
        SettingField("header_value", "Value of the header", secret=True, required=False),
    )
    purpose = "enrich"
    source_kind = "enriched"
    is_mapped = True
    confidence = 0.7
    fresh_days = 90
    nothing_days = 30

    def __init__(self, needs: tuple[str, ...] = (), paths: Mapping[str, str] | None = None) -> None:
        self.needs = needs
        self.paths = dict(paths or {})
        self.gives = tuple(self.paths)

    def for_settings(self, settings: Mapping[str, str]) -> HttpSource:
        return HttpSource(tuple(dict.fromkeys(_SLOT.findall(settings["url"]))), _paths(settings["take"]))

    def check(self, settings: Mapping[str, str]) -> None:
        """`Invalid("bad_url" | "no_attribute" | "bad_take" | "bad_header")`."""
        check_web_address(settings["url"])
        host = settings["url"].split("/", 3)[2]
        if _SLOT.search(host):
            raise Invalid("bad_url", "The address must name its host: no attribute may choose the host.")
        if not _SLOT.search(settings["url"]):
            raise Invalid(
                "no_attribute", "The address has no attribute in braces, so every customer would get the same answer."
            )
        if not _HEADER.fullmatch(settings["header"]):
            raise Invalid("bad_header", "A header's name has letters, digits and dashes.")
        _paths(settings["take"])

    def question(self, traits: Mapping[str, Any]) -> str | None:
        """Require every attribute of the address to be known, and a text or a number."""
        values = {need: traits.get(need) for need in self.needs}
        if not values or not all(isinstance(value, PLAIN) and str(value) for value in values.values()):
            return None
        return json.dumps({key: str(value) for key, value in values.items()}, sort_keys=True)

    def ask(self, question: str, settings: Mapping[str, str]) -> Mapping[str, Any]:
        values = json.loads(question)
        url = _SLOT.sub(lambda slot: quote(values[slot[1]], safe=""), settings["url"])
        headers = {settings["header"]: settings["header_value"]} if settings["header"] else {}
        payload = record(ask("GET", url, headers=headers), "The source")
        found = {attribute: _at(payload, path) for attribute, path in self.paths.items()}
        return {attribute: value for attribute, value in found.items() if isinstance(value, PLAIN) and value != ""}


def _paths(text: str) -> dict[str, str]:
    taken = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        match = _TAKE.fullmatch(line)
        if match is None:
            raise Invalid("bad_take", "Each line reads: attribute = path.in.the.answer.")
        taken[match[1]] = match[2]
    if not taken:
        raise Invalid("bad_take", "Say at least one line: attribute = path.in.the.answer.")
    return taken


def _at(payload: Any, path: str) -> Any:
    for step in path.split("."):
        if isinstance(payload, list) and step.isdigit() and int(step) < len(payload):
            payload = payload[int(step)]
        elif isinstance(payload, dict):
            payload = payload.get(step)
        else:
            return None
    return payload


http_source = HttpSource()
