"""The ASGI application that granian serves: `regulars.serving.asgi:application`."""

from __future__ import annotations

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "regulars.settings")
django.setup()

from .root import Root  # noqa: E402 - models can be imported only after set-up

application = Root()
