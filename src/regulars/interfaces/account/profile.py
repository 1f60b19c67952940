"""`/me`: what is known and from which source, what the customer allows, what was disclosed, and changing any of it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from regulars.base.errors import DomainError, Invalid, Unavailable
from regulars.consent.models import ConsentEvent
from regulars.consent.notices import NoticeChangedError
from regulars.consent.suppressions import marketing_purposes
from regulars.events.read import timeline
from regulars.profiles.contacts import proved_contacts
from regulars.profiles.document import own_name
from regulars.profiles.models import Attribute, Profile
from regulars.profiles.values import write_value
from regulars.usecases import correct_facts
from regulars.usecases.customer_data import CustomerFact, facts_of, purposes_of, segments_of
from regulars.usecases.decide_consent import decide_as_shown
from regulars.usecases.record_disclosures import all_disclosures_of
from regulars.usecases.refuse_consent import Refusal, refuse
from regulars.usecases.restrict import lift, open_restriction, restrict
from regulars.usecases.shown_notices import show_purposes

from . import labels
from .names import PageNames, identity_rows, page_locale
from .require_login import account_message, customer_page

MOST_EVENTS = 20
ANY_ADVERTISING = gettext_noop("Object to any advertising")
MAX_ID = 2**63 - 1
Action = ConsentEvent.Action
# Value of a button → the recorded action: consent is given and withdrawn, a legitimate interest is objected to.
ACTIONS = {
    "give": Action.GIVEN,
    "withdraw": Action.WITHDRAWN,
    "object": Action.OBJECTED,
    "lift": Action.OBJECTION_LIFTED,
}
DONE = {
    Action.GIVEN: gettext_noop("You allowed it. You can take that back here at any time."),
    Action.WITHDRAWN: gettext_noop("You took it back. It is not used for this any more."),
    Action.OBJECTED: gettext_noop("You objected. It is not used for this any more."),
    Action.OBJECTION_LIFTED: gettext_noop("Your objection is withdrawn."),
}


@require_safe
@customer_page()
def overview(request: HttpRequest, profile: Profile) -> HttpResponse:
    """`/me`: everything on one page, so that nothing is hidden."""
    return _overview(request, profile)


def _overview(request: HttpRequest, profile: Profile, changed: str = "") -> HttpResponse:
    """Draw the page. `changed` is the purpose whose notice is not any more what the customer decided on."""
    locale = page_locale(request)
    names, shown = PageNames(locale), show_purposes(locale)
    context = {
        "changed": changed,
        "name": own_name(profile),
        "facts": [_row(fact, names) for fact in facts_of(profile, locale)],
        "restriction": open_restriction(profile),
        "advertising": _advertising(profile, names),
        "stands": [
            (stand, labels.consent_status(stand), shown.get(stand.key, "")) for stand in purposes_of(profile, locale)
        ],
        "identities": identity_rows(profile, names),
        "segments": [
            (each, names.purpose(each.segment.purpose_id), names.bases_of(each.segment))
            for each in segments_of(profile)
        ],
        "disclosures": [
            (
                each,
                labels.disclosure(each.state, erased=each.erased, carried_out=each.carried_out),
                names.purpose(each.purpose),
                [names.attribute(key) for key in each.attributes],
            )
            for each in all_disclosures_of(profile)
        ],
        "events": [(labels.event_name(each.name), each) for each in timeline(profile.pk, MOST_EVENTS)],
    }
    return render(request, "account/profile.html", context, status=409 if changed else 200)


@require_POST
@customer_page()
def decide(request: HttpRequest, profile: Profile, key: str) -> HttpResponse:
    """Record a decision about a purpose. The form works once, and for the notice beside it: it names both."""
    action = ACTIONS.get(request.POST.get("action", ""))
    seen = request.POST.get("seen", "")
    if action is None or not (seen.isascii() and seen.isdigit() and int(seen[:20]) <= MAX_ID):
        return account_message(
            request,
            gettext_noop("That did not work"),
            gettext_noop("The form was not complete. Go back and try again."),
            400,
        )
    try:
        decide_as_shown(profile, key, action, shown=request.POST.get("notice", ""), seen=int(seen))
    except NoticeChangedError:
        return _overview(request, profile, changed=key)
    except Unavailable:  # the page of `serving.error_pages`
        raise
    except DomainError as refused:
        return account_message(request, gettext_noop("That did not work"), labels.problem(refused), 409)
    return _back(request, f"{PageNames(page_locale(request)).purpose(key)}: {_(DONE[action])}", "purposes")


@require_POST
@customer_page()
def object_to_advertising(request: HttpRequest, profile: Profile) -> HttpResponse:
    """`/me/advertising`: close everything that is used for advertising (Art. 21 (2) and (3) GDPR)."""
    refuse(
        profile,
        Refusal(
            "profile",
            "customer",
            words=_(ANY_ADVERTISING),
            locale=page_locale(request),
            contacts=frozenset(proved_contacts(profile)),
        ),
    )
    return _back(request, _("You objected to any advertising. Your data is not used for it any more."), "purposes")


@require_POST
@customer_page()
def change_restriction(request: HttpRequest, profile: Profile) -> HttpResponse:
    """`/me/restriction`: restrict the use of everything, keep it restricted, or lift the restriction."""
    try:
        if request.POST.get("action") == "lift":
            lift(profile)
            return _back(request, _("The restriction is lifted."), "restriction")
        restrict(profile, "profile")
    except Unavailable:  # the page of `serving.error_pages`
        raise
    except DomainError as refused:
        return account_message(request, gettext_noop("That did not work"), labels.problem(refused), 409)
    sentence = _("The use of your data is restricted. It is only stored, and used to sign you in.")
    return _back(request, sentence, "restriction")


def _advertising(profile: Profile, names: PageNames) -> list[str]:
    """Return the names of the purposes that an objection to any advertising would close; none once that was done."""
    purposes = [each.key for each in marketing_purposes()]
    objected = profile.consent_states.filter(purpose__in=purposes, status=Action.OBJECTED)
    return [] if objected.count() == len(purposes) else [names.purpose(key) for key in purposes]


@require_http_methods(["GET", "POST"])
@customer_page()
def correct(request: HttpRequest, profile: Profile) -> HttpResponse:
    """`/me/facts/correct?attribute=`: show the stored value and take the correct one."""
    key = request.GET.get("attribute", "")[:128]
    fact = _find(request, profile, key)
    if fact is None or not fact.may_correct:
        return account_message(
            request, gettext_noop("Nothing to set right"), gettext_noop("This cannot be changed here."), 404
        )
    if request.method == "GET":
        return _form(request, fact, write_value(fact.value), "", None)
    typed, reason = request.POST.get("value", ""), request.POST.get("reason", "")
    try:
        correct_facts.correct(profile, key, typed, reason=reason)
    except Unavailable:  # the page of `serving.error_pages`
        raise
    except DomainError as refused:
        return _form(request, fact, typed, reason, refused)
    return _back(request, _("{name} is changed.").format(name=fact.label), "facts")


@require_POST
@customer_page()
def remove(request: HttpRequest, profile: Profile) -> HttpResponse:
    key = request.POST.get("attribute", "")[:128]
    fact = _find(request, profile, key)
    try:
        if fact is None:
            raise Invalid("not_there", gettext_noop("This is not kept any more."))
        correct_facts.remove(profile, key)
    except Unavailable:  # the page of `serving.error_pages`
        raise
    except DomainError as refused:
        return account_message(request, gettext_noop("That did not work"), labels.problem(refused), 409)
    return _back(request, _("{name} is deleted, and only you can bring it back.").format(name=fact.label), "facts")


def _find(request: HttpRequest, profile: Profile, key: str) -> CustomerFact | None:
    return next((each for each in facts_of(profile, page_locale(request)) if each.attribute == key), None)


def _row(fact: CustomerFact, names: PageNames) -> dict[str, Any]:
    return {
        "fact": fact,
        "value": names.value(fact),
        "source": names.source(fact),
        "why_not": _(labels.WHY_NOT[fact.why_not]) if fact.why_not in labels.WHY_NOT else "",
        "uses": [names.purpose(each) for each in fact.purposes],
    }


def _form(
    request: HttpRequest, fact: CustomerFact, typed: str, reason: str, refused: DomainError | None
) -> HttpResponse:
    attribute = Attribute.objects.filter(key=fact.attribute).first()
    context = {
        "fact": fact,
        "now": labels.value(fact.attribute, fact.value, fact.options),
        "source": PageNames(page_locale(request)).source(fact),
        "type": attribute.type if attribute else "text",
        "value": typed,
        "reason": reason,
        "problem": labels.problem(refused) if refused else "",
        "about": (refused.field or "value") if refused else "",
    }
    return render(request, "account/correct.html", context, status=400 if refused else 200)


def _back(request: HttpRequest, sentence: str, place: str) -> HttpResponse:
    messages.success(request, sentence)
    return HttpResponseRedirect(f"/me#{place}")
