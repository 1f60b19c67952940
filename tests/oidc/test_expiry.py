"""What has run out goes; what may still matter stays."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from regulars.oauth.expiry import delete_expired
from regulars.oauth.models import AuthorizationCode, PendingLogin, RefreshFamily, RefreshToken
from tests.oidc.app import query_of


def test_what_has_run_out_is_taken_away_with_all_that_hangs_on_it(signed_in):
    signed_in.tokens(scope="openid offline_access")
    signed_in.authorize(prompt="login")
    later = timezone.now() - dt.timedelta(days=2)
    for kind in (AuthorizationCode, PendingLogin, RefreshFamily):
        kind.objects.update(expires_at=later)
    delete_expired()

    assert [kind.objects.count() for kind in (AuthorizationCode, PendingLogin, RefreshFamily, RefreshToken)] == [0] * 4


def test_what_lives_and_a_code_used_lately_stay(signed_in):
    tokens = signed_in.tokens(scope="openid offline_access")
    away = signed_in.authorize(prompt="login")
    delete_expired()

    assert AuthorizationCode.objects.count() == 1
    assert PendingLogin.objects.count() == 1
    assert "_resume" in query_of(away["Location"])["next"]
    assert signed_in.refresh(tokens["refresh_token"]).status_code == 200
