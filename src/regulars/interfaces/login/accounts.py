"""`/me/accounts`: a customer's ways in, what she shares by each, and other accounts that may be hers."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_POST, require_safe

from regulars.base.errors import DomainError
from regulars.profiles.models import Identity, Profile
from regulars.usecases.link_accounts import find_link_proposals
from regulars.usecases.stop_sharing import all_shared_claims, stop_sharing
from regulars.usecases.users import login_identities, unlink

from .connections import social_connections
from .door import customer, is_fresh, page, words

HERE = "/me/accounts"


@require_safe
@page
def accounts(request: HttpRequest) -> HttpResponse:
    profile = customer(request)
    if profile is None:
        return _sign_in_first()
    shares = {share.identity.pk: share for share in all_shared_claims(profile)}
    mine = login_identities(profile)
    names = {each.name: each.display_name for each in social_connections()}
    context = {
        "ways": [
            (each, names.get(each.connection, each.connection), shares.get(each.pk), _may_leave(profile, each, mine))
            for each in mine
        ],
        "others": [each for each in social_connections() if each.name not in {way.connection for way in mine}],
        "proposals": [
            (proposal, [each for each in proposal.identities if each.connection in names])
            for proposal in find_link_proposals(profile)
        ],
        "done": DONE.get(request.GET.get("done", ""), ""),
    }
    return render(request, "signin/accounts.html", context)


@require_POST
@page
def part(request: HttpRequest, number: int) -> HttpResponse:
    """Take a way in out of her account again, with what it brought."""
    profile = customer(request)
    if profile is None or not is_fresh(request):
        return _sign_in_first()
    try:
        unlink(profile, _identity(profile, number), "customer")
    except DomainError as no:
        return words(request, gettext_noop("This cannot be parted"), no.message, 400)
    return HttpResponseRedirect(f"{HERE}?done=parted")


@require_POST
@page
def stop(request: HttpRequest, number: int) -> HttpResponse:
    """Stop sharing one claim."""
    profile = customer(request)
    if profile is None:
        return _sign_in_first()
    try:
        asked = stop_sharing(profile, _identity(profile, number), request.POST.get("claim", ""))
    except DomainError as no:
        return words(request, gettext_noop("This is not shared"), no.message, 400)
    return HttpResponseRedirect(f"{HERE}?done={'stopped' if asked else 'stopped-here'}")


DONE = {
    "parted": gettext_noop("This way in is an account of its own again."),
    "stopped": gettext_noop("We do not use it any more, and we ask your provider to end the permission."),
    "stopped-here": gettext_noop(
        "We do not use it any more. Your provider keeps what you allowed there until you end it in its settings."
    ),
}


def _may_leave(profile: Profile, identity: Identity, ways: list[Identity]) -> bool:
    main = identity.origin is None and f"{identity.provider}|{identity.provider_user_id}" == profile.user_id
    return len(ways) > 1 and not main


def _identity(profile: Profile, number: int) -> Identity:
    identity = profile.identities.filter(pk=number).first()
    if identity is None:
        raise Http404("No such way in.")
    return identity


def _sign_in_first() -> HttpResponse:
    return HttpResponseRedirect("/login?" + urlencode({"next": HERE, "prompt": "login"}))
