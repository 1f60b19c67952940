"""Export the members of a segment as CSV, with only what its purpose permits."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from typing import Any

from regulars.base.spreadsheet import escaped
from regulars.consent.uses import refuse, why_no_row
from regulars.consent.view import current_views, view_all
from regulars.profiles.models import Attribute

from .members import members
from .models import Membership, Segment

CHUNK = 500


def refuse_without_rows(segment: Segment) -> None:
    """Raise `Invalid("purpose_serves_account" | "purpose_is_for_groups")` where no row about one person may leave."""
    refuse(why_no_row(segment.purpose))


def columns(segment: Segment) -> list[str]:
    """Return the head of the file: the customer's id, and every attribute that may serve the segment's purpose."""
    attributes = Attribute.objects.order_by("key")
    return ["user_id", *(each.key for each in attributes if segment.purpose_id in each.purposes)]


def count_exported(segment: Segment) -> int:
    """Return how many members have any value that may be used for the purpose."""
    allowed = current_views().filter(
        purpose=segment.purpose, profile__memberships__segment=segment, profile__memberships__state=Membership.State.IN
    )
    return allowed.exclude(traits={}).count()


def lines(segment: Segment, heads: list[str]) -> Iterator[str]:
    """Yield the lines of the file. Consent is checked for every row when it is written."""
    refuse_without_rows(segment)
    writer = csv.writer(_Echo())
    yield writer.writerow(heads)
    after = 0
    while chunk := members(segment, Membership.State.IN, CHUNK, after):
        permitted = view_all([each.profile for each in chunk], segment.purpose_id)
        for each in chunk:
            if traits := permitted[each.profile_id]:
                known = {key: traits[key].value for key in heads[1:] if key in traits}
                yield writer.writerow([escaped(each.profile.user_id), *(_cell(known.get(key)) for key in heads[1:])])
        after = chunk[-1].profile_id


def _cell(value: Any) -> str:
    """Return text that no spreadsheet takes for a formula; numbers stay numbers, several values are joined."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case list():
            return escaped("; ".join(map(_plain, value)))
    return escaped(_plain(value))


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


class _Echo:
    """A file that returns each line instead of keeping it."""

    def write(self, line: str) -> Any:
        return line
