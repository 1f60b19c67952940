"""A Babel extractor for Django templates (babel.cfg names it): what `django-admin makemessages` finds, without GNU gettext."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any, BinaryIO

from babel.messages.extract import extract_python
from django.utils.translation.template import templatize


def extract_template(
    file: BinaryIO, keywords: dict[str, Any], comment_tags: list[str], options: dict[str, Any]
) -> Iterator[tuple[int, str, Any, list[str]]]:
    """Yield the messages of one template, as Babel's own extractors do.

    Django turns a template into calls of gettext; Python's tokenizer reads them once no line is indented.
    """
    calls = templatize(file.read().decode())
    unindented = "\n".join(line.lstrip() for line in calls.split("\n"))
    yield from extract_python(BytesIO(unindented.encode()), keywords, comment_tags, options)
