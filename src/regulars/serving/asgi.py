"""The ASGI application that granian serves: `regulars.serving.asgi:application`."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "regulars.settings")
django.setup()

from django.conf import settings  # noqa: E402 - after set-up, as are models
from django.db import DatabaseError, connection  # noqa: E402

from regulars.base.db.usable_database import refuse_half_restored_database  # noqa: E402
from regulars.base.home_folder import WORKERS, locked, refuse_unfinished_restore  # noqa: E402

from .root import Root  # noqa: E402

held = ExitStack()  # until the process ends: no restore begins meanwhile
with suppress(OSError):  # a read-only or full disk: no restore can begin either
    settings.HOME.mkdir(mode=0o700, parents=True, exist_ok=True)
    held.enter_context(locked(settings.HOME / WORKERS, shared=True))
refuse_unfinished_restore(settings.HOME)
with suppress(DatabaseError):  # `/readyz` names it
    refuse_half_restored_database()
connection.close()
application = Root()
