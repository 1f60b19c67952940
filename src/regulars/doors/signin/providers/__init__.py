"""What each kind of provider can tell: one file per strategy, read from here."""

from __future__ import annotations

from . import google_oauth2, oidc
from .strategy import Strategy

STRATEGIES: dict[str, Strategy] = {each.name: each for each in (google_oauth2.GOOGLE, oidc.OIDC)}
