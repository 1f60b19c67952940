"""`auth0.accessToken`: with it a rule may ask the Management API about the person who logs in, for a minute."""

from __future__ import annotations

import re
import time

from django.conf import settings

from regulars.base.tokens.jwt import sign

SECONDS = 60
SCOPES = "read:users update:users"
_MENTIONED = re.compile(r"auth0\W{1,4}accessToken|accessToken[^;\n]{0,40}=\s*auth0\b")


def token_for(script: str, user_id: str) -> str:
    """A token that the API takes for this person alone; empty when the script does not mention it, or nobody is known."""
    if not user_id or not _MENTIONED.search(script):
        return ""
    claims = {
        "aud": f"{settings.ISSUER}api/v2/",
        "sub": "rules@clients",
        "azp": "rules",
        "gty": "client-credentials",
        "scope": SCOPES,
        "only_user": user_id,
        "exp": int(time.time()) + SECONDS,
    }
    return sign(claims, "at+jwt")
