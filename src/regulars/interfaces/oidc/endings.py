"""What apps were given in a session ends with it: codes nobody redeemed yet, and offline access."""

from __future__ import annotations

from django.db.models import Q
from django.utils import timezone

from regulars.oauth.models import AuthorizationCode, RefreshFamily
from regulars.usecases.sign_out import Ending, hears_of_endings

from .sessions import end, sids_of_keys


@hears_of_endings
def end_grants(ending: Ending) -> None:
    """Of these sessions; with `everything` also what outlived its session."""
    hers = Q(profile__account=ending.account) | Q(profile__merged_into__account=ending.account)
    codes = AuthorizationCode.objects.filter(hers, family=None)
    families = RefreshFamily.objects.filter(hers, revoked_at=None)
    sids = sids_of_keys(ending.sessions)
    if ending.everything:
        kept = sids_of_keys([ending.kept] if ending.kept else [])
        codes, families = codes.exclude(grant__sid__in=kept), families.exclude(sid__in=kept)
    else:
        codes, families = codes.filter(grant__sid__in=sids), families.filter(sid__in=sids)
    codes.delete()
    families.update(revoked_at=timezone.now(), revoked_why="signed_out")
    for sid in sids:
        end(sid)
