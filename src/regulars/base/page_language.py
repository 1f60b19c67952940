"""The language of the page that the customer is on, for what is written to them meanwhile.

Empty elsewhere: in the console, in APIs, in the worker, and where a browser names no language.
"""

from __future__ import annotations

from contextvars import ContextVar

page_language: ContextVar[str] = ContextVar("page_language", default="")
