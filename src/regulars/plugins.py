"""Everything a plug-in of a third party imports. Each kind has a base class with defaults, found by its entry point.

| entry point group | base class |
| --- | --- |
| `regulars.question_types` | `QuestionType` |
| `regulars.enrichment_sources` | `EnrichmentSource` (`TableSource` for a file on this machine) |
| `regulars.destination_kinds` | `DestinationKind` |

Call out with `http` only: it refuses addresses inside the network. What a plug-in returns is believed as far as its group
is in the table of SECURITY.md: a source's answer is a look-up, a provider's claim a provider's, an answer the customer's.
"""

from __future__ import annotations

from regulars.base import http
from regulars.base.errors import DomainError, Invalid
from regulars.base.plugins.fields import SettingField, check_web_address
from regulars.destinations.calls import perform
from regulars.destinations.kind import (
    DeletionRequest,
    DestinationKind,
    FieldUpdate,
    HttpCall,
    SegmentMessage,
    SendFailed,
)
from regulars.enrichment.files import TableSource
from regulars.enrichment.source import LAST_IP, EnrichmentSource, LookupFailed
from regulars.questions.question_type import AnswerField, AnswerOption, BadAnswer, QuestionType, one_of, only_one

__all__ = [
    "LAST_IP",
    "AnswerField",
    "AnswerOption",
    "BadAnswer",
    "DeletionRequest",
    "DestinationKind",
    "DomainError",
    "EnrichmentSource",
    "FieldUpdate",
    "HttpCall",
    "Invalid",
    "LookupFailed",
    "QuestionType",
    "SegmentMessage",
    "SendFailed",
    "SettingField",
    "TableSource",
    "check_web_address",
    "http",
    "one_of",
    "only_one",
    "perform",
]
