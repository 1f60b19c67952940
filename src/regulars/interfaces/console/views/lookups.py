"""One enrichment source: its settings, its purpose, and what it answered lately."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from regulars.base import clock
from regulars.base.errors import DomainError, Invalid
from regulars.base.jobs.queues import QueueStatus, queue_status
from regulars.consent.models import Purpose
from regulars.enrichment.look_up import fresh_days
from regulars.enrichment.models import Lookup, SourceDay, SourceSetting
from regulars.enrichment.reliability import TELLING, report
from regulars.enrichment.save import LIMITS, Limits, save_source, shown_settings, switch_source
from regulars.enrichment.source import SOURCES
from regulars.profiles.models import Profile
from regulars.usecases.enrich import dead_letters, resend_dead_letter, resend_dead_letters

from ..door import may, require, staff_page
from ..forms import FormError, done, problem_of, settings_drawn, settings_given
from .sources import NO_LOOKUPS, ROLE, lookup_counts

AGAIN = "marketer"
LATELY = 20
MONEY = frozenset({"price", "money_per_day"})
# Limit → what the form calls it, and its help.
LIMIT_WORDS = {
    "calls_per_day": ("Calls a day", "Empty: no limit."),
    "money_per_day": ("Money a day", "In your own currency. Empty: no limit."),
    "price": ("Price of one call", "What each call counts against the money of the day."),
    "calls_per_minute": ("Calls a minute", "They are spread evenly. Empty: as fast as they come."),
    "at_a_time": ("At a time", "How many calls may be under way at once."),
    "fresh_days": ("Days an answer is fresh", "It is not asked for again sooner. Empty: what the source advises."),
}


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@staff_page
def lookup_source(request: HttpRequest, key: str) -> HttpResponse:
    source, saved = _find(key)
    if request.method != "POST":
        return _page(request, key, saved, {**_kept(saved, source), "enabled": "on" if saved and saved.enabled else ""})
    require(request, ROLE)
    given, settings = request.POST.dict(), settings_given(request, source.fields)
    on = given.get("enabled") == "on"
    try:
        save_source(key, settings, enabled=on, purpose=given.get("purpose", ""), limits=_limits(given))
    except DomainError as refused:
        return _page(request, key, saved, given, problem_of(refused, {"unknown_purpose": "purpose"}, source.fields))
    sentence = f"{source.title} is saved" + (" and on." if on else ", and off.")
    return done(request, f"/console/sources/{key}", "lookup.saved", key, sentence, on=on)


@require_POST
@staff_page
def switch(request: HttpRequest, key: str) -> HttpResponse:
    """On or off; one whose settings are not complete shows its form."""
    require(request, ROLE)
    source, saved = _find(key)
    on = request.POST.get("on") == "1"
    try:
        switch_source(key, on)
    except DomainError as refused:
        given = {**_kept(saved, source), "enabled": "on"}
        return _page(request, key, saved, given, problem_of(refused, fields=source.fields))
    sentence = f"{source.title} is asked from now on." if on else f"{source.title} is not asked any more."
    return done(request, "/console/sources", "lookup.switched", key, sentence, on=on)


@require_POST
@staff_page
def ask_again(request: HttpRequest, key: str) -> HttpResponse:
    """A look-up that was given up (`number`), or all of them, go back in line."""
    require(request, AGAIN)
    source, _ = _find(key)
    number = request.POST.get("number", "")
    if number.isascii() and number.isdigit():
        resend_dead_letter(key, int(number))
        count = 1
    else:
        count = resend_dead_letters(key)
    sentence = f"{source.title} is asked again: {count} look-up{'s' if count != 1 else ''}."
    return done(request, f"/console/sources/{key}", "lookups.resent", key, sentence, count=count)


def _limits(given: Mapping[str, str]) -> Limits | None:
    """The limits as they were written; None when the form had none of them. Raises `Invalid("bad_limit")`."""
    if not LIMITS.keys() & given.keys():
        return None
    read = {name: _number(name, given.get(name, "")) for name in LIMITS}
    always = {name: getattr(Limits, name) for name in ("at_a_time", "price") if read[name] is None}
    return Limits(**{**read, **always})


def _number(name: str, written: str) -> Decimal | int | None:
    """Money has decimals, everything else is counted. What is far too much is left for `Limits` to refuse as it is: as an
    `int` the nine characters `1e7999999` keep a process busy for minutes."""
    if not written.strip():
        return None
    try:
        number = Decimal(written.strip())
    except InvalidOperation:
        raise Invalid("bad_limit", "Write a number, or nothing for no limit.", name) from None
    _, most = LIMITS[name]
    if number.is_finite() and (name in MONEY or number.copy_abs() > most):
        return number
    if number.is_finite() and number == number.to_integral_value():
        return int(number)
    raise Invalid("bad_limit", "Write a whole number, or nothing for no limit.", name)


def _kept(saved: SourceSetting | None, source: Any) -> dict[str, str]:
    """What the form begins with."""
    limits = vars(Limits()) if saved is None else {name: getattr(saved, name) for name in LIMITS}
    shown = {
        name: "" if limit is None else f"{Decimal(limit).normalize():f}" if name in MONEY else str(limit)
        for name, limit in limits.items()
    }
    return {"purpose": saved.purpose_id if saved else source.purpose, **shown}


def _find(key: str) -> tuple[Any, SourceSetting | None]:
    if key not in SOURCES:
        raise Http404("There is no such source.")
    return SOURCES[key], SourceSetting.objects.filter(key=key).first()


def _page(
    request: HttpRequest,
    key: str,
    saved: SourceSetting | None,
    given: Mapping[str, str],
    problem: FormError | None = None,
) -> HttpResponse:
    source = SOURCES[key]
    kept = shown_settings(saved) if saved else {}
    context = {
        "key": key,
        "source": source,
        "saved": saved,
        "given": given,
        "values": settings_drawn(source.fields, kept, settings_given(request, source.fields)),
        "purposes": _purposes(source.is_about_areas),
        "counts": lookup_counts().get(key, NO_LOOKUPS),
        "lately": list(
            Lookup.objects.filter(source_key=key).select_related("profile").order_by("-asked_at", "-id")[:LATELY]
        ),
        "limits": [(name, *LIMIT_WORDS[name], given.get(name, "")) for name in LIMITS],
        "report": report(key),
        "today": SourceDay.objects.filter(source_key=key, day=clock.today()).first() or SourceDay(source_key=key),
        "telling": TELLING,
        "queue": _queue(saved),
        "fresh_days": fresh_days(saved, source) if saved else source.fresh_days,
        **_given_up(key),
        "may_resend": may(request, AGAIN),
        "problem": problem,
        "may_write": may(request, ROLE),
    }
    return render(request, "console/lookup_source.html", context, status=400 if problem else 200)


def _queue(saved: SourceSetting | None) -> QueueStatus:
    return queue_status([saved.queue])[saved.queue] if saved else QueueStatus()


def _given_up(key: str) -> dict[str, Any]:
    """The newest look-ups that were given up, each with whom it was about; she may be gone."""
    dead = dead_letters(key)
    people = Profile.objects.in_bulk({job.payload["profile"] for job in dead[:LATELY]})
    return {"dead": [(job, people.get(job.payload["profile"])) for job in dead[:LATELY]], "dead_count": len(dead)}


def _purposes(is_about_areas: bool) -> list[tuple[str, str]]:
    """A source that is told who she is needs a purpose that rests on her yes."""
    purposes = Purpose.objects.filter(active=True).order_by("key")
    allowed = purposes if is_about_areas else purposes.filter(basis=Purpose.Basis.CONSENT)
    return [(purpose.key, f"{purpose.label} ({purpose.key})") for purpose in allowed]
