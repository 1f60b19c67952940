"""The page that the customer is on: its language, for what is written to them meanwhile, and its path, for what they decide.

Empty elsewhere: in the console, in APIs, in the worker. The language is empty too where a browser names none.
"""

from __future__ import annotations

from contextvars import ContextVar

page_language: ContextVar[str] = ContextVar("page_language", default="")
page_path: ContextVar[str] = ContextVar("page_path", default="")
