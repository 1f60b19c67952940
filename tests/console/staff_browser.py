"""A browser of staff: it sends what the form on the page would, with its hidden version or one-time number."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

from django.http import QueryDict
from django.test import Client

from regulars.interfaces.console.edits import NUMBER, VERSION

# Where the form is that posts to this address, if not on the page of that address.
PAGES = {
    "/console/privacy/retention": "/console/privacy",
    "/console/rules/settings": "/console/rules",
    "/console/sources/events": "/console/sources",
}
_FORM = re.compile(r'<form[^>]*method="post"[^>]*>.*?</form>', re.DOTALL)
_HIDDEN = re.compile(rf'<input type="hidden" name="({VERSION}|{NUMBER})" value="([^"]*)">')


def page_of(address: str) -> str:
    path = address.partition("?")[0]
    return PAGES.get(path) or ("/console/rules" if path.startswith("/console/rules/templates/") else address)


def hidden_inputs(page: str, address: str) -> dict[str, str]:
    """Return the version or number in the form of a page that posts to this address."""
    path = address.partition("?")[0]
    for form in _FORM.findall(page):
        action = re.search(r'action="([^"?#]*)', form.partition(">")[0])
        if (not action or action[1] in ("", path)) and (found := _HIDDEN.findall(form)):
            return dict(found)
    return {}


class StaffBrowser(Client):
    def load(self, address: str) -> dict[str, str]:
        """Open the form that posts to this address, and return its hidden inputs."""
        return hidden_inputs(self.page_with(address), address)

    def fields(self, address: str) -> dict[str, Any]:
        """Open the form that posts to this address, and return all its inputs as they are filled in."""
        return fields_in(self.page_with(address), address, page_of(address))

    def page_with(self, address: str) -> str:
        page = page_of(address)
        if "/edit/save" in page:  # the version is that of the conditions, which the builder loaded
            answer = self.get(page.partition("/save")[0])
            version = QueryDict(urlsplit(answer.headers.get("Location", "")).query).get(VERSION, "")
            page += f"{'&' if '?' in page else '?'}{VERSION}={version}"
        return self.get(page).content.decode()

    def post(self, path: str, data: Any = None, *more: Any, bare: bool = False, **kept: Any) -> Any:
        """Load the form and send it. `bare`: send only what is given, as no browser does."""
        if not bare and not path.endswith("/switch") and (data is None or isinstance(data, dict)):
            data = {**self.load(path), **(data or {})}
        return super().post(path, data, *more, **kept)


class _FormReader(HTMLParser):
    """Reads what a browser would send of the form that posts to `path`, on the page `here`."""

    def __init__(self, path: str, here: str) -> None:
        super().__init__()
        self.path, self.here, self.sent = path, here, dict[str, list[str]]()
        self.inside = self.done = False
        self.area = self.select = ""
        self.option: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and not self.done and given.get("method") == "post":
            action = given.get("action", "").partition("?")[0].partition("#")[0]
            self.inside = (action or self.here) == self.path
        if not self.inside:
            return
        name = given.get("name", "")
        if tag == "textarea":
            self.area = name
            self.sent.setdefault(name, []).append("")
        elif tag == "select":
            self.select, self.option = name, []
        elif tag == "option" and self.select and ("selected" in given or not self.option):
            self.option = [given.get("value", "")]
        elif tag == "input" and name and (given.get("type") not in ("checkbox", "radio") or "checked" in given):
            self.sent.setdefault(name, []).append(given.get("value", "on"))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form" and self.inside:
            self.inside, self.done = False, True
        elif tag == "textarea":
            self.area = ""
        elif tag == "select" and self.inside and self.select:
            self.sent.setdefault(self.select, []).extend(self.option)
            self.select = ""

    def handle_data(self, data: str) -> None:
        if self.inside and self.area:
            self.sent[self.area][-1] += data.removeprefix("\n") if not self.sent[self.area][-1] else data


def fields_in(page: str, address: str, here: str = "") -> dict[str, str | list[str]]:
    """Return all inputs of the form of a page that posts to this address, as they are filled in."""
    path = address.partition("?")[0]
    reader = _FormReader(path, (here or address).partition("?")[0])
    reader.feed(page)
    return {name: texts[0] if len(texts) == 1 else texts for name, texts in reader.sent.items()}
