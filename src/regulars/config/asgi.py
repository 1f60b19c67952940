"""What granian serves: `regulars.config.asgi:application`."""

from __future__ import annotations

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "regulars.config.settings")
django.setup()

from .root import Root  # noqa: E402 - rooms can be imported only after set-up

application = Root()
