"""She has everything about her erased, and is shown the proof, which names nobody."""

from __future__ import annotations

import uuid
from typing import Any

from allauth.account.adapter import get_adapter
from django.apps import apps
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_http_methods, require_safe

from regulars.connections.models import Connection
from regulars.consent.models import Erasure
from regulars.destinations.models import Disclosure
from regulars.profiles.models import Profile
from regulars.profiles.upstream_tokens import UpstreamRevocation
from regulars.usecases.customer_data import facts_of
from regulars.usecases.erase import erase_customer

from . import me_words
from .door import page
from .me_door import fresh, hers, words

UNDERSTOOD = "understood"


@require_http_methods(["GET", "POST"])
@hers
@fresh
def erase(request: HttpRequest, profile: Profile) -> HttpResponse:
    """`/me/erase`: what will go, and one box to tick; then the proof."""
    if request.method == "GET" or UNDERSTOOD not in request.POST:
        problem = _("Tick the box to go on.") if request.method == "POST" else ""
        context = {"facts": len(facts_of(profile)), "problem": problem}
        return render(request, "signin/me_erase.html", context, status=400 if problem else 200)
    erasure = erase_customer(profile, "customer")
    get_adapter().logout(request)
    return HttpResponseRedirect(f"/me/erased/{erasure.pk}")


@require_safe
@page
def erased(request: HttpRequest, number: uuid.UUID) -> HttpResponse:
    """`/me/erased/<number>`: for whoever has the number. What was counted, and who elsewhere has confirmed by now."""
    erasure = Erasure.objects.filter(pk=number).first()
    if erasure is None:
        return words(
            request,
            gettext_noop("No such proof"),
            gettext_noop("Check the address: it was shown to you when everything was erased."),
            404,
        )
    disclosures = Disclosure.objects.filter(pk__in=erasure.disclosures).select_related("destination")
    names = dict(Connection.objects.values_list("name", "display_name"))
    context = {
        "erasure": erasure,
        "rows": sorted((_name(label), *counts) for label, counts in erasure.removed.items()),
        "networks": [
            (names.get(each.connection, each.connection), _(me_words.ENDING[each.state]), each.over_at)
            for each in UpstreamRevocation.objects.filter(erasure=number).order_by("pk")
        ],
        "told": [(each.destination.name, _(me_words.TOLD[each.state]), each.confirmed_at) for each in disclosures],
    }
    return render(request, "signin/me_erased.html", context)


def _name(label: str) -> Any:
    try:
        return str(apps.get_model(label)._meta.verbose_name_plural).capitalize()
    except LookupError:
        return label
