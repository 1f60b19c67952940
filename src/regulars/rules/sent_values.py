"""Which attributes of a customer are in a request of a rule: their values, looked for in address, headers and body.

Values are found as they are, in JSON, in forms, in base64, escaped for an address or a page, and, of an address or a number to
contact, as the usual digests. What a rule encrypts or spells another way is not found; the recipient is recorded all the same.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import html
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from regulars.base.json_reader import UnreadableJson, read_json
from regulars.base.text import JsonObject

SHORTEST = 4  # characters; a shorter value counts only where it is the whole value of a field
MOST_TEXTS = 400
MOST_CHARACTERS = 600_000
DEEPEST = 4  # a text in a text: JSON in base64 in a form
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}")
_BAGS = ("user_metadata", "app_metadata")
_DIGESTED = ("email", "phone_number")
_DIGESTS = ("md5", "sha1", "sha256")
_LEFT_OUT = frozenset({"created_at", "updated_at", "last_login", "last_ip", "logins_count", "multifactor"})


def values_of(user: Mapping[str, Any], ip: str = "") -> dict[str, list[Any]]:
    """Return attribute → the values that rules are given of a customer, in Auth0's shape of a user. `ip` is of the sign-in."""
    found: dict[str, list[Any]] = {"ip": [ip]} if ip else {}
    for key, value in user.items():
        if key in _BAGS and isinstance(value, dict):
            found |= {f"{key}.{name}": list(_leaves(each)) for name, each in value.items()}
        elif key == "identities" and isinstance(value, list):
            ids = [str(each["user_id"]) for each in value if isinstance(each, dict) and each.get("user_id")]
            tokens = [each["access_token"] for each in value if isinstance(each, dict) and each.get("access_token")]
            found[key] = [*ids, *tokens]
        elif key not in _LEFT_OUT:
            found[key] = list(_leaves(value))
    return found


def sent_attributes(request: JsonObject, values: Mapping[str, list[Any]]) -> list[str]:
    """Return the attributes of which a value is in a request of a rule (`http_calls`), in order."""
    texts, fields = _unfolded(request)
    whole = {value.casefold() for _, value in fields if isinstance(value, str)}
    named = {(_plain(name), json.dumps(value)) for name, value in fields if not isinstance(value, str)}
    named |= {(_plain(name), value.casefold()) for name, value in fields if isinstance(value, str)}

    def is_sent(attribute: str, value: Any) -> bool:
        if not isinstance(value, str):
            return (_plain(attribute.rpartition(".")[2]), json.dumps(value)) in named
        word = value.strip().casefold()
        if not word:
            return False
        if word in whole:
            return True
        wanted = [word] if len(word) >= (SHORTEST if word.isascii() else 2) else []
        if attribute in _DIGESTED:
            wanted += [hashlib.new(name, word.encode(), usedforsecurity=False).hexdigest() for name in _DIGESTS]
        return any(_holds(text, each) for text in texts for each in wanted)

    return sorted(attribute for attribute, each in values.items() if any(is_sent(attribute, value) for value in each))


def _leaves(value: Any) -> Iterator[Any]:
    match value:
        case dict():
            for each in value.values():
                yield from _leaves(each)
        case list():
            for each in value:
                yield from _leaves(each)
        case None:
            return
        case _:
            yield value


def _plain(name: str) -> str:
    """Return a name so that `phoneNumber`, `phone-number` and `phone_number` are one."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _holds(text: str, word: str) -> bool:
    """Return whether a text has a word, which no other letter or digit continues. Other scripts write without spaces."""
    if not word.isascii():
        return word in text
    at = text.find(word)
    while at >= 0:
        before, after = text[at - 1 : at], text[at + len(word) : at + len(word) + 1]
        if not before.isalnum() and not after.isalnum():
            return True
        at = text.find(word, at + 1)
    return False


def _unfolded(request: JsonObject) -> tuple[list[str], list[tuple[str, Any]]]:
    """Return every text of a request, casefolded, with the fields of its JSON and its forms."""
    headers = request.get("headers")
    waiting = [(str(request.get("url", "")), 0), (str(request.get("text", "")), 0)]
    waiting += [(str(value), 0) for value in headers.values()] if isinstance(headers, dict) else []
    if isinstance(request.get("base64"), str):
        waiting.append((_decoded(request["base64"]) or "", 0))
    texts: dict[str, None] = {}
    fields: list[tuple[str, Any]] = []
    left = MOST_CHARACTERS
    while waiting and len(texts) < MOST_TEXTS and left > 0:
        text, depth = waiting.pop(0)
        if not text or text.casefold() in texts:
            continue
        texts[text.casefold()] = None
        left -= len(text)
        if depth < DEEPEST:
            own, inside = _inside(text)
            fields += own
            waiting += [(each, depth + 1) for each in inside]
    return list(texts), fields


def _inside(text: str) -> tuple[list[tuple[str, Any]], list[str]]:
    fields: list[tuple[str, Any]] = []
    if text.lstrip()[:1] in ("{", "[", '"'):
        with suppress(UnreadableJson):
            fields += _fields("", read_json(text, repair=True))
    if "=" in text:
        fields += parse_qsl(text.partition("?")[2] or text, errors="replace", max_num_fields=None)
    inside = [value for _, value in fields if isinstance(value, str)]
    if "%" in text or "+" in text:
        inside.append(unquote_plus(text))
    if "&" in text:
        inside.append(html.unescape(text))
    inside += [found for token in _BASE64.findall(text)[:MOST_TEXTS] if (found := _decoded(token))]
    return fields, inside


def _fields(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    match value:
        case dict():
            for key, each in value.items():
                yield from _fields(str(key), each)
        case list():
            for each in value:
                yield from _fields(name, each)
        case None:
            return
        case _:
            yield name, value


def _decoded(token: str) -> str:
    """Return the text that a token of base64 holds, empty when it holds none."""
    plain = token.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        text = base64.b64decode(plain + "=" * (-len(plain) % 4)).decode()
    except (binascii.Error, ValueError):
        return ""
    return text if all(each.isprintable() or each.isspace() for each in text) else ""
