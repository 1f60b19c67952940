"""Her page: what we know and from whom, what she allows, who was told, and how she changes any of it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import get_language, get_supported_language_variant, gettext_noop
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from regulars.base.errors import DomainError, Invalid
from regulars.consent.models import ConsentEvent, Purpose
from regulars.consent.purposes import get_purpose, words_in
from regulars.consent.record import Decision
from regulars.destinations.disclosures import disclosures_of
from regulars.events.read import timeline
from regulars.profiles.models import Attribute, Profile
from regulars.profiles.values import write_value
from regulars.usecases import correct_facts as flow
from regulars.usecases.customer_data import CustomerFact, facts_of, purposes_of, segments_of
from regulars.usecases.decide_consent import decide as write_decision

from . import me_labels, me_words
from .me_door import hers, words

EVENTS = 20
MAX_ID = 2**63 - 1
Action = ConsentEvent.Action
# What a button says → what is written: consent is given and taken back, a legitimate interest is objected to.
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
    Action.OBJECTION_LIFTED: gettext_noop("Your objection is gone."),
}


@require_safe
@hers
def me(request: HttpRequest, profile: Profile) -> HttpResponse:
    """`/me`: everything on one page, so that nothing has to be looked for."""
    locale = _locale(request)
    labels = {each.key: words_in(each, locale)[1] for each in Purpose.objects.all()}
    names = {key: me_labels.label(name) for key, name in Attribute.objects.values_list("key", "label")}
    context = {
        "name": str(profile.document.get("name") or profile.document.get("email") or ""),
        "facts": [_row(me_labels.in_her_words(fact), labels) for fact in facts_of(profile)],
        "stands": [(stand, me_words.status(stand)) for stand in purposes_of(profile, locale)],
        "identities": _identities(profile),
        "segments": [(each, labels[each.segment.purpose_id]) for each in segments_of(profile)],
        "told": [
            (
                each,
                _(me_words.TOLD[each.state]),
                labels.get(each.purpose, ""),
                [names.get(a, a) for a in each.attributes],
            )
            for each in disclosures_of(profile)
        ],
        "happened": [(me_labels.label(each.name), each) for each in timeline(profile.pk, EVENTS)],
    }
    return render(request, "signin/me.html", context)


@require_POST
@hers
def decide(request: HttpRequest, profile: Profile, key: str) -> HttpResponse:
    """Allow, take back, object, or take the objection back. The form works once: it knows the decision it follows."""
    action = ACTIONS.get(request.POST.get("action", ""))
    seen = request.POST.get("seen", "")
    if action is None or not (seen.isascii() and seen.isdigit() and int(seen[:20]) <= MAX_ID):
        return words(
            request,
            gettext_noop("That did not work"),
            gettext_noop("The form was not complete. Go back and try again."),
            400,
        )
    try:
        purpose = get_purpose(key)
        locale, label, text = words_in(purpose, _locale(request))
        decision = Decision(key, action, "profile", words=f"{label}\n{text}", locale=locale)
        write_decision(profile, decision, seen=int(seen))
    except DomainError as refused:
        return words(request, gettext_noop("That did not work"), refused.message, 409)
    return _back(request, f"{label}: {_(DONE[action])}", "purposes")


@require_http_methods(["GET", "POST"])
@hers
def correct(request: HttpRequest, profile: Profile) -> HttpResponse:
    """`/me/facts/correct?attribute=`: the value as it is kept, and the right one."""
    key = request.GET.get("attribute", "")[:128]
    fact = _find(profile, key)
    if fact is None or not fact.may_correct:
        return words(request, gettext_noop("Nothing to set right"), gettext_noop("This cannot be changed here."), 404)
    if request.method == "GET":
        return _form(request, fact, write_value(fact.value), "", None)
    typed, reason = request.POST.get("value", ""), request.POST.get("reason", "")
    try:
        flow.correct(profile, key, typed, reason=reason)
    except DomainError as refused:
        return _form(request, fact, typed, reason, refused)
    return _back(request, _("{name} is changed.").format(name=fact.label), "facts")


@require_POST
@hers
def remove(request: HttpRequest, profile: Profile) -> HttpResponse:
    key = request.POST.get("attribute", "")[:128]
    fact = _find(profile, key)
    try:
        if fact is None:
            raise Invalid("not_there", gettext_noop("This is not kept any more."))
        flow.remove(profile, key)
    except DomainError as refused:
        return words(request, gettext_noop("That did not work"), refused.message, 409)
    return _back(
        request, _("{name} is deleted, and nobody but you can bring it back.").format(name=fact.label), "facts"
    )


def _find(profile: Profile, key: str) -> CustomerFact | None:
    found = next((each for each in facts_of(profile) if each.attribute == key), None)
    return me_labels.in_her_words(found) if found else None


def _row(fact: CustomerFact, labels: dict[str, str]) -> dict[str, Any]:
    return {
        "fact": fact,
        "value": me_words.value(fact.attribute, fact.value, fact.options),
        "source": me_words.source(fact),
        "why_not": _(me_words.WHY_NOT[fact.why_not]) if fact.why_not in me_words.WHY_NOT else "",
        "uses": [labels.get(each, each) for each in fact.purposes],
    }


def _identities(profile: Profile) -> list[dict[str, Any]]:
    """How she is known, and what each network was asked for and gave the last time."""
    found = []
    for identity in profile.identities.order_by("first_seen_at"):
        answer = identity.answers.order_by("-id").first()
        found.append({"name": me_words.network(identity.provider), "identity": identity, "answer": answer})
    return found


def _form(
    request: HttpRequest, fact: CustomerFact, typed: str, reason: str, refused: DomainError | None
) -> HttpResponse:
    attribute = Attribute.objects.filter(key=fact.attribute).first()
    context = {
        "fact": fact,
        "now": me_words.value(fact.attribute, fact.value, fact.options),
        "source": me_words.source(fact),
        "type": attribute.type if attribute else "text",
        "value": typed,
        "reason": reason,
        "problem": refused.message if refused else "",
        "about": (refused.field or "value") if refused else "",
    }
    return render(request, "signin/me_correct.html", context, status=400 if refused else 200)


def _back(request: HttpRequest, sentence: str, place: str) -> HttpResponse:
    messages.success(request, sentence)
    return HttpResponseRedirect(f"/me#{place}")


def _locale(request: HttpRequest) -> str:
    """The language of the page; or her browser's first, where the house does not speak it and the business may."""
    first = request.headers.get("Accept-Language", "").partition(",")[0].partition(";")[0].strip()[:16]
    try:
        get_supported_language_variant(first or "en")
    except LookupError:
        return first
    return get_language() or "en"
