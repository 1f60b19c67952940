"""`/me/accounts`: the customer's login methods, what each shares, and other accounts that may be theirs."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_POST, require_safe

from regulars.base.errors import DomainError, Unavailable
from regulars.connections.login_methods import social_connections
from regulars.profiles.find import login_identities
from regulars.profiles.models import Identity, Profile
from regulars.usecases.link_accounts import find_link_proposals
from regulars.usecases.stop_sharing import all_shared_claims, stop_sharing
from regulars.usecases.users import unlink

from .names import PageNames, page_locale
from .require_login import account_message, customer_page

HERE = "/me/accounts"


@require_safe
@customer_page()
def linked_accounts(request: HttpRequest, profile: Profile) -> HttpResponse:
    shares = {share.identity.pk: share for share in all_shared_claims(profile)}
    methods = login_identities(profile)
    names = PageNames(page_locale(request))
    open_here = {each.name for each in social_connections()}
    context = {
        "methods": [
            (
                each,
                names.network(each.provider, each.connection),
                shares.get(each.pk),
                _may_unlink(profile, each, methods),
            )
            for each in methods
        ],
        "others": [each for each in social_connections() if each.name not in {method.connection for method in methods}],
        "proposals": [
            (
                proposal,
                [
                    (each, names.network(each.provider, each.connection))
                    for each in proposal.identities
                    if each.connection in open_here
                ],
            )
            for proposal in find_link_proposals(profile)
        ],
        "done": DONE.get(request.GET.get("done", ""), ""),
    }
    return render(request, "account/linked.html", context)


@require_POST
@customer_page(fresh=True, home=HERE)
def unlink_identity(request: HttpRequest, profile: Profile, number: int) -> HttpResponse:
    """Unlink a login method from the account, with the facts it brought."""
    try:
        unlink(profile, _identity(profile, number), "customer", kept_session=request.session.session_key or "")
    except Unavailable:  # the page of `serving.error_pages`
        raise
    except DomainError as error:
        return account_message(request, gettext_noop("This cannot be parted"), error.message, 400)
    return HttpResponseRedirect(f"{HERE}?done=parted")


@require_POST
@customer_page(home=HERE)
def stop_claim(request: HttpRequest, profile: Profile, number: int) -> HttpResponse:
    """Stop sharing one claim of a provider."""
    try:
        asked = stop_sharing(profile, _identity(profile, number), request.POST.get("claim", ""))
    except Unavailable:  # the page of `serving.error_pages`
        raise
    except DomainError as error:
        return account_message(request, gettext_noop("This is not shared"), error.message, 400)
    return HttpResponseRedirect(f"{HERE}?done={'stopped' if asked else 'stopped-here'}")


DONE = {
    "parted": gettext_noop("This login method is an account of its own again."),
    "stopped": gettext_noop("We do not use it any more, and we ask your provider to end the permission."),
    "stopped-here": gettext_noop(
        "We do not use it any more. Your provider keeps what you allowed there until you end it in its settings."
    ),
}


def _may_unlink(profile: Profile, identity: Identity, methods: list[Identity]) -> bool:
    main = identity.origin is None and f"{identity.provider}|{identity.provider_user_id}" == profile.user_id
    return len(methods) > 1 and not main


def _identity(profile: Profile, number: int) -> Identity:
    identity = profile.identities.filter(pk=number).first()
    if identity is None:
        raise Http404("No such login method.")
    return identity
