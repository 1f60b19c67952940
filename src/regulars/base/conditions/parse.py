"""Parse a condition into its tree. Errors have a code and the position where the text does not fit."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedInput
from lark.exceptions import VisitError

from regulars.base.email_address import canonical_domain
from regulars.base.errors import DomainError

from .tree import (
    And,
    Between,
    Bound,
    Condition,
    Consented,
    Did,
    Equals,
    Everything,
    Exists,
    InSegment,
    Matches,
    Not,
    Or,
    walk,
)

LONGEST = 10_000  # characters
DEEPEST = 60  # parentheses
BARE_FIELDS = ("email", "name", "given_name", "family_name", "nickname", "username", "user_id", "phone_number")


class ConditionError(DomainError):
    """The text is not a condition. `position` is the offset of the first character that does not fit, if known."""

    def __init__(self, name: str, sentence: str, position: int | None = None) -> None:
        super().__init__(name, sentence)
        self.position = position


def parse(text: str) -> Condition:
    """Return the tree of a condition in the full language. Raises `ConditionError`."""
    # The size is checked before parsing, so that a third party's text cannot exhaust time or Python's stack.
    if not text.strip():
        raise ConditionError("empty", "The condition is empty.", 0)
    if len(text) > LONGEST:
        raise ConditionError("too_long", f"The condition is longer than {LONGEST} characters.", LONGEST)
    if "\x00" in text:
        raise ConditionError("syntax", "The condition holds a NUL character.", text.index("\x00"))
    if text.count("(") > DEEPEST or text.count("NOT") > DEEPEST * 4:
        raise ConditionError("too_deep", f"The condition has more than {DEEPEST} parentheses.")
    try:
        tree = _parser().parse(text)
        condition: Condition = _Builder().transform(tree)
    except UnexpectedInput as fault:
        position = getattr(fault, "pos_in_stream", None)
        position = position if isinstance(position, int) and position >= 0 else len(text)
        message = "The condition ends too early."
        if position < len(text):
            before = text[position : position + 20]
            message = f"The condition does not fit at character {position + 1}, before: {before!r}."
        raise ConditionError("syntax", message, position) from None
    except VisitError as fault:
        if isinstance(fault.orig_exc, ConditionError):
            raise fault.orig_exc from None
        raise
    return condition


def parse_search(text: str) -> Condition:
    """Return the tree of a condition that Auth0's user search (engine v3) permits. Raises `ConditionError`."""
    condition = parse(text)
    for node in walk(condition):
        _refuse_beyond_search(node)
    return condition


def _refuse_beyond_search(node: Condition) -> None:
    match node:
        case Did() | InSegment() | Consented():
            raise ConditionError(
                "not_in_user_search", "Behaviour, segments and consent cannot be used in a user search."
            )
        case Matches(field, _) | Between(field, _, _) if field.split(".")[0] == "user_metadata":
            kind = "wildcard" if isinstance(node, Matches) else "range"
            raise ConditionError(f"{kind}_on_user_metadata", f"A {kind} is not allowed on user_metadata: {field}.")
        case Matches(field, pieces) if not pieces[0] and sum(map(len, pieces)) < 3:
            raise ConditionError("leading_wildcard_too_short", f"A leading * needs at least 3 letters: {field}.")
        case Equals("connection", _):
            raise ConditionError("unknown_field", "Search by identities.connection.")


class _Builder(Transformer):  # type: ignore[misc]  # lark is untyped here
    """Builds the tree bottom up. Method names are the rules' names in grammar.lark."""

    def any(self, parts: list[Condition]) -> Condition:
        return _joined(Or, parts)

    def all(self, parts: list[Condition]) -> Condition:
        return _joined(And, parts)

    def negated(self, parts: list[Any]) -> Any:
        [part] = parts
        return (lambda field: Not(part(field))) if callable(part) else Not(part)

    # Values inside a group are functions of the field that stands before the group.
    def group(self, parts: list[Any]) -> Any:
        return lambda field: _joined(Or, [part(field) for part in parts])

    def group_all(self, parts: list[Any]) -> Any:
        return lambda field: _joined(And, [part(field) for part in parts])

    def item(self, parts: list[Token]) -> Any:
        return lambda field: _term(field, str(parts[0]))

    def item_phrase(self, parts: list[Token]) -> Any:
        return lambda field: _equals(field, _unquoted(parts[0]))

    def item_range(self, parts: list[Any]) -> Any:
        return lambda field: Between(field, *parts[0])

    def field_group(self, parts: list[Any]) -> Condition:
        field, group = parts
        condition: Condition = group(_path(field))
        return condition

    def field_range(self, parts: list[Any]) -> Condition:
        field, (low, high) = parts
        return Between(_path(field), low, high)

    def phrase(self, parts: list[Token]) -> Condition:
        return _equals(_path(parts[0]), _unquoted(parts[1]))

    def value(self, parts: list[Token]) -> Condition:
        return _term(_path(parts[0]), str(parts[1]))

    def bare(self, parts: list[Token]) -> Condition:
        text = str(parts[0])
        return Everything() if text == "*" else Or(tuple(_term(field, text) for field in BARE_FIELDS))

    def bare_phrase(self, parts: list[Token]) -> Condition:
        return Or(tuple(Equals(field, _unquoted(parts[0])) for field in BARE_FIELDS))

    def range(self, parts: list[Token]) -> tuple[Bound | None, Bound | None]:
        opens, low, high, closes = parts
        return _bound(low, opens == "["), _bound(high, closes == "]")

    def did(self, parts: list[Any]) -> Condition:
        given: dict[str, Any] = {"number": 1.0, "comparison": ">=", "aggregate": "count"}
        has_comparison = any(isinstance(part, Token) and part.type == "COMPARISON" for part in parts)
        for part in parts:
            match part:
                case Token("PHRASE"):
                    given["event"] = _unquoted(part)
                case Token("AGGREGATE"):
                    given["aggregate"] = str(part)
                case Token("SUM"):
                    given["aggregate"] = "sum"
                case Token("PROPERTY"):
                    given["of"] = str(part)
                case Token("DAYS"):
                    given["within_days"] = min(int(part[:-1]), 36_500)
                case Token("COMPARISON"):
                    given["comparison"] = str(part)
                case Token("NUMBER"):
                    given["number"] = float(part)
                    given["comparison"] = given["comparison"] if has_comparison else "="
                case _:
                    if any(isinstance(node, Did | InSegment | Consented) for node in walk(part)):
                        raise ConditionError(
                            "nested_behaviour", "Inside did(… where …) only the event's own properties can be used."
                        )
                    given["where"] = part
        return Did(**given)


def _joined(kind: type[And] | type[Or], parts: list[Condition]) -> Condition:
    """Join the parts: a single part stays itself, and parts of the same kind are not nested."""
    flat: list[Condition] = []
    for part in parts:
        flat += part.parts if isinstance(part, kind) else [part]
    return flat[0] if len(flat) == 1 else kind(tuple(flat))


def _term(field: str, raw: str) -> Condition:
    """Return the test of an unquoted value: stars are wildcards unless escaped."""
    pieces = tuple(_unescaped(piece) for piece in re.split(r"(?<!\\)(?:\\\\)*\*", raw))
    if len(pieces) == 1:
        return _equals(field, pieces[0])
    if not any(pieces):
        return Exists(field)
    return wildcard(field, pieces)


def wildcard(field: str, pieces: tuple[str, ...]) -> Condition:
    """Return the test of pieces between stars. A piece of an address may be of its domain, which is stored in ASCII."""
    first, *others = pieces
    in_ascii = (first, *(each if "@" in each or each.isascii() else canonical_domain(each) for each in others))
    plain = Matches(field, pieces)
    return plain if field != "email" or in_ascii == pieces else Or((plain, Matches(field, in_ascii)))


def _equals(field: str, value: str) -> Condition:
    match field:
        case "_exists_":
            return Exists(_path(value))
        case "segment":
            return InSegment(value)
        case "consent":
            return Consented(value)
    return Equals(field, value)


def _path(token: str) -> str:
    """Return a field's name. Quotes and unprintable characters cannot be part of it on any engine."""
    name = _unescaped(token)
    if any(character in "\"'\\" or not character.isprintable() for character in name):
        raise ConditionError("bad_field", f"A field cannot be called {name!r}.")
    return name


def _bound(token: Token, inclusive: bool) -> Bound | None:
    text = _unquoted(token) if token.type == "PHRASE" else _unescaped(token)
    return None if text == "*" else Bound(text, inclusive)


def _unquoted(token: str) -> str:
    return _unescaped(str(token)[1:-1])


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", str(text), flags=re.DOTALL)


@lru_cache(maxsize=1)
def _parser() -> Lark:
    grammar = Path(__file__).with_name("grammar.lark").read_text()
    return Lark(grammar, parser="lalr", lexer="contextual", maybe_placeholders=False)
