"""Sources: event sources with their rejected messages, and enrichment sources with their settings and lookups."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Max, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from regulars.base import clock
from regulars.base.errors import DomainError, Invalid
from regulars.base.jobs.queues import QueueStatus, queue_status
from regulars.consent.view import of_whom_open
from regulars.enrichment.look_up import fresh_days
from regulars.enrichment.models import Lookup, SourceDay, SourceSetting
from regulars.enrichment.reliability import MIN_COMPARED, doubtful_sources, report
from regulars.enrichment.save import (
    LIMITS,
    SourceLimits,
    purposes_for,
    save_source,
    shown_settings,
    stopped_sources,
    why_stopped,
)
from regulars.enrichment.save import switch_source as switch_enrichment_source
from regulars.enrichment.source import SOURCES, EnrichmentSource
from regulars.events.counts import SHOWN_DAYS, recent_counts
from regulars.events.models import InboxItem, Rejection, Source
from regulars.events.sources import (
    demand_proof,
    find_source,
    make_source,
    replace_key,
    replace_secret,
    switch_source,
)
from regulars.profiles.models import Profile
from regulars.usecases.browsers import crowded_profiles, release_crowded
from regulars.usecases.enrich import dead_letters, resend_dead_letter, resend_dead_letters

from ..edits import FormContent, creating, lock_form, refuse_outdated
from ..forms import SETTING, FormError, form_error, form_page, form_state, settings_given, settings_shown
from ..pages import NO_ROLE, done, may, record_action, staff_page

ROLE = "admin"
REFUSED = 20
CROWDS = 50  # shown; anybody can cause any number
NO_LOOKUPS = {"asked": 0, "found": 0, "nothing": 0, "failed": 0, "last": None}
RECENT_MESSAGES = 10_000  # messages examined
RETRY_ROLE = "marketer"
RECENT_LOOKUPS = 20
MONEY = frozenset({"price", "money_per_day"})
# Limit → what the form calls it, and its help.
LIMIT_LABELS = {
    "calls_per_day": ("Calls a day", "Empty: no limit."),
    "money_per_day": ("Money a day", "In your own currency. Empty: no limit."),
    "price": ("Price of one call", "What each call counts against the money of the day."),
    "calls_per_minute": ("Calls a minute", "Calls are spread evenly. Empty: no limit."),
    "concurrency": ("Concurrency", "How many calls may be under way at once."),
    "fresh_days": ("Days an answer is fresh", "The lookup is not repeated sooner. Empty: the source's own default."),
}


@require_safe
@staff_page(read="marketer")
def sources(request: HttpRequest) -> HttpResponse:
    return _list_page(request)


@require_POST
@staff_page(read=NO_ROLE, write="admin")
def add(request: HttpRequest) -> HttpResponse:
    name = request.POST.get("name", "")
    try:
        with creating(request) as sent:
            made = make_source(name)
            sent.address = "/console/sources"
            sentence = f"{made.name} may send events: its write key is below."
            return done(request, sent.address, "source.made", made.slug, sentence)
    except DomainError as error:
        return _list_page(request, name, form_error(error))


@require_POST
@staff_page(read=NO_ROLE, write="admin")
def switch(request: HttpRequest, slug: str) -> HttpResponse:
    on = request.POST.get("on") == "1"
    source = switch_source(slug, on)
    sentence = f"{source.name} is on." if on else f"{source.name} is off: what it sends is refused."
    return done(request, "/console/sources", "source.switched", slug, sentence, on=on)


@require_POST
@staff_page(read=NO_ROLE, write="admin")
def rotate_key(request: HttpRequest, slug: str) -> HttpResponse:
    return _key_page(request, slug, "source.key_replaced", replace_key(slug))


def sdk_settings(url: str) -> list[tuple[str, str]]:
    """Return for each SDK of Segment the setting that sends to this installation. Some add `/v1` to the address themselves."""
    parts = urlsplit(url)
    secure = "true" if parts.scheme == "https" else "false"
    port = parts.port or (443 if parts.scheme == "https" else 80)
    scheme = "" if parts.scheme == "https" else f', protocol: "{parts.scheme}"'
    return [
        ("analytics.js", f'integrations: {{"Segment.io": {{apiHost: "{parts.netloc}/v1"{scheme}}}}}, cdnURL: "{url}"'),
        ("Python", f'analytics.host = "{url}"'),
        ("Node", f'new Analytics({{writeKey, host: "{url}"}})'),
        ("Go", f'analytics.Config{{Endpoint: "{url}"}}'),
        ("Java", f'Analytics.builder(writeKey).endpoint("{url}")'),
        ("Ruby", f'Segment::Analytics.new(host: "{parts.hostname}", port: {port}, ssl: {secure})'),
        ("PHP", f'Segment::init($writeKey, ["host" => "{parts.netloc}", "tls" => {secure}])'),
        ("Kotlin, Swift", f'apiHost = "{parts.netloc}/v1", cdnHost = "{parts.netloc}/v1" (https only)'),
    ]


@require_safe
@staff_page(read="admin")
def event_source(request: HttpRequest, slug: str) -> HttpResponse:
    """Show one source of events: its kind, its key, and the proofs that it takes."""
    source = Source.objects.filter(slug=slug).first()
    if source is None:
        raise Http404("There is no such source.")
    context = {
        "source": source,
        "endpoint": settings.PUBLIC_URL,
        "sdks": sdk_settings(settings.PUBLIC_URL),
        "reasons": [each for each in recent_counts() if each.slug == slug],
        "days": SHOWN_DAYS,
        "crowded": crowded_profiles().filter(source=slug)[:CROWDS],
        "may_write": True,
    }
    return render(request, "console/event_source.html", context)


@require_POST
@staff_page(read=NO_ROLE, write="admin")
def release(request: HttpRequest) -> HttpResponse:
    """Let a customer who gathered too many browsers (`number`) gather them again."""
    number = request.POST.get("number", "")
    row = release_crowded(int(number)) if number.isascii() and number.isdigit() else None
    if row is None:
        raise Http404("There is no such report.")
    sentence = f"{row.profile.user_id} joins browsers again, without a limit."
    return done(request, "/console/sources", "crowd.released", row.profile.user_id, sentence)


@require_POST
@staff_page(read=NO_ROLE, write="admin")
def change_kind(request: HttpRequest, slug: str) -> HttpResponse:
    """Make a source `public` or `server`. It gets a new key: a key that pages have shown is no secret."""
    kind = request.POST.get("kind", "")
    return _key_page(request, slug, f"source.made_{kind}"[:64], replace_key(slug, kind or "none"))


@require_POST
@staff_page(read=NO_ROLE, write="admin")
def rotate_secret(request: HttpRequest, slug: str) -> HttpResponse:
    secret = replace_secret(slug)
    return _secret_page(request, slug, "source.secret_replaced", secret, "Secret for userHash")


@require_POST
@staff_page(read=NO_ROLE, write="admin")
def switch_proof(request: HttpRequest, slug: str) -> HttpResponse:
    on = request.POST.get("on") == "1"
    source = demand_proof(slug, on)
    sentence = f"{source.name}: messages with a user id need a proof." if on else f"{source.name} needs no proof."
    return done(request, f"/console/sources/events/{slug}", "source.proof_switched", slug, sentence, on=on)


def _key_page(request: HttpRequest, slug: str, what: str, key: str) -> HttpResponse:
    """A server's key is shown in this response only; a public one is on the source's page."""
    source = find_source(slug)
    if source.kind == Source.Kind.SERVER:
        return _secret_page(request, slug, what, key, "Write key")
    sentence = f"{source.name} has a new write key. Events sent with the old key are refused."
    return done(request, f"/console/sources/events/{slug}", what, slug, sentence)


def _secret_page(request: HttpRequest, slug: str, what: str, secret: str, label: str) -> HttpResponse:
    """Answer directly, without a redirect: the secret is never kept anywhere to be shown later."""
    record_action(request, what, slug)
    context = {"source": find_source(slug), "secret": secret, "label": label}
    return render(request, "console/source_secret.html", context)


def _lookup_counts() -> dict[str, dict[str, Any]]:
    """Return the counts of kept lookups by source: `asked`, `failed`, `nothing` (no data found), `found`."""
    failed = ~Q(error="")
    rows = (
        Lookup.objects.order_by()
        .values("source_key")
        .annotate(
            asked=Count("id"),
            failed=Count("id", filter=failed),
            nothing=Count("id", filter=Q(error="", answer={})),
            last=Max("asked_at"),
        )
    )
    return {row["source_key"]: {**row, "found": row["asked"] - row["failed"] - row["nothing"]} for row in rows}


def _list_page(request: HttpRequest, name: str = "", problem: FormError | None = None) -> HttpResponse:
    kept = {row.key: row for row in SourceSetting.objects.select_related("purpose")}
    # Recent messages that were acknowledged and could not become an event. The whole inbox is too long to scan.
    newest = InboxItem.objects.aggregate(newest=Max("id"))["newest"] or 0
    stuck = InboxItem.objects.filter(id__gt=newest - RECENT_MESSAGES).exclude(rejected="").select_related("source")
    counts, doubtful = _lookup_counts(), doubtful_sources()
    stopped = {setting.key for setting in stopped_sources()}
    spent = {row.source_key: row for row in SourceDay.objects.filter(day=clock.today())}
    context = {
        "rows": list(Source.objects.order_by("name")),
        "refused": list(Rejection.objects.select_related("source").order_by("-id")[:REFUSED]),
        "stuck": list(stuck.order_by("-id")[:REFUSED]),
        "reasons": recent_counts(),
        "days": SHOWN_DAYS,
        "crowded": crowded_profiles()[:CROWDS] if may(request, ROLE) else [],
        "lookups": [
            (key, source, kept.get(key), counts.get(key, NO_LOOKUPS), spent.get(key), key in doubtful, key in stopped)
            for key, source in SOURCES.items()
        ],
        "endpoint": settings.PUBLIC_URL,
        "sdks": sdk_settings(settings.PUBLIC_URL),
        "name": name,
        "problem": problem,
        "form_state": form_state(request, None, problem),
        "may_write": may(request, ROLE),
    }
    return render(request, "console/sources.html", context, status=problem.status if problem else 200)


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@staff_page(read="marketer", write="admin")
def enrichment_source(request: HttpRequest, key: str) -> HttpResponse:
    source, saved = _find(key)
    if request.method != "POST":
        return _enrichment_page(request, key, saved, _enrichment_fields(saved, source))
    given, settings = request.POST.dict(), settings_given(request, source.fields)
    try:
        with transaction.atomic():
            lock_form(f"sources.{key}"[:60])
            _, saved = _find(key)
            refuse_outdated(request, _enrichment_shown(saved, source))
            # the first save says whether it starts switched on; later its switch does
            on = None if saved else given.get("enabled") == "on"
            made = save_source(key, settings, enabled=on, purpose=given.get("purpose", ""), limits=_limits(given))
            sentence = f"{source.title} is saved" + (" and on." if made.enabled else ", and off.")
            return done(request, f"/console/sources/{key}", "lookup.saved", key, sentence, on=made.enabled)
    except DomainError as error:
        return _enrichment_page(
            request, key, saved, given, form_error(error, {"unknown_purpose": "purpose"}, source.fields)
        )


def _enrichment_shown(saved: SourceSetting | None, source: EnrichmentSource) -> FormContent:
    plain = [field for field in source.fields if not field.secret]
    kept = saved.settings if saved else {}
    values = {SETTING + field.key: kept.get(field.key, field.default) for field in plain}
    labels = {name: label for name, (label, _) in LIMIT_LABELS.items()}
    return FormContent(
        saved.key if saved else "",
        ("lookup.saved",),
        {**_enrichment_fields(saved, source), **values},
        {"there": saved is not None, **{field.key: kept.get(field.key, "") for field in source.fields if field.secret}},
        labels,
    )


@require_POST
@staff_page(read=NO_ROLE, write="admin")
def switch_enrichment(request: HttpRequest, key: str) -> HttpResponse:
    """Switch a source on or off; one with incomplete settings shows its form."""
    source, saved = _find(key)
    on = request.POST.get("on") == "1"
    try:
        switch_enrichment_source(key, on)
    except DomainError as error:
        given = {**_enrichment_fields(saved, source), "enabled": "on"}
        return _enrichment_page(request, key, saved, given, form_error(error, fields=source.fields))
    sentence = f"{source.title} is on." if on else f"{source.title} is off."
    return done(request, "/console/sources", "lookup.switched", key, sentence, on=on)


@require_POST
@staff_page(read=NO_ROLE, write="marketer")
def retry(request: HttpRequest, key: str) -> HttpResponse:
    """Queue a failed lookup (`number`) again, or all of them."""
    source, _ = _find(key)
    number = request.POST.get("number", "")
    if number.isascii() and number.isdigit():
        resend_dead_letter(key, int(number))
        count = 1
    else:
        count = resend_dead_letters(key)
    sentence = f"{source.title}: {count} lookup{'s are' if count != 1 else ' is'} queued again."
    return done(request, f"/console/sources/{key}", "lookups.resent", key, sentence, count=count)


def _limits(given: Mapping[str, str]) -> SourceLimits | None:
    """Return the submitted limits; None when the form had none of them. Raises `Invalid("bad_limit")`."""
    if not LIMITS.keys() & given.keys():
        return None
    read = {name: _number(name, given.get(name, "")) for name in LIMITS}
    always = {name: getattr(SourceLimits, name) for name in ("concurrency", "price") if read[name] is None}
    return SourceLimits(**{**read, **always})


def _number(name: str, written: str) -> Decimal | int | None:
    """Return a decimal for money, else a whole number.

    A far too large number stays a `Decimal` for `SourceLimits` to refuse: converting the nine characters `1e7999999` to an `int`
    takes minutes.
    """
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


def _enrichment_fields(saved: SourceSetting | None, source: EnrichmentSource) -> dict[str, str]:
    """Return the fields of the form before it is submitted."""
    limits = vars(SourceLimits()) if saved is None else {name: getattr(saved, name) for name in LIMITS}
    shown = {
        name: "" if limit is None else f"{Decimal(limit).normalize():f}" if name in MONEY else str(limit)
        for name, limit in limits.items()
    }
    return {"purpose": saved.purpose_id if saved else source.purpose, **shown}


def _find(key: str) -> tuple[EnrichmentSource, SourceSetting | None]:
    if key not in SOURCES:
        raise Http404("There is no such source.")
    return SOURCES[key], SourceSetting.objects.filter(key=key).first()


def _enrichment_page(
    request: HttpRequest,
    key: str,
    saved: SourceSetting | None,
    given: Mapping[str, str],
    problem: FormError | None = None,
) -> HttpResponse:
    source = SOURCES[key]
    kept = shown_settings(saved) if saved else {}
    dead = dead_letters(key)
    people = Profile.objects.in_bulk({job.payload["profile"] for job in dead[:RECENT_LOOKUPS]})
    recent = list(
        Lookup.objects.filter(source_key=key).select_related("profile").order_by("-asked_at", "-id")[:RECENT_LOOKUPS]
    )
    asked_about = [each.profile for each in recent if each.profile]
    is_open = of_whom_open(asked_about, saved.purpose_id) if saved else set()
    context = {
        "key": key,
        "source": source,
        "saved": saved,
        "stopped": why_stopped(source, saved.purpose) if saved else "",
        "given": given,
        "values": settings_shown(source.fields, kept, settings_given(request, source.fields)),
        "purposes": [(purpose.key, f"{purpose.label} ({purpose.key})") for purpose in purposes_for(source)],
        "counts": _lookup_counts().get(key, NO_LOOKUPS),
        "recent": [(row, row.profile_id is None or row.profile_id in is_open) for row in recent],
        "limits": [(name, *LIMIT_LABELS[name], given.get(name, "")) for name in LIMITS],
        "report": report(key),
        "today": SourceDay.objects.filter(source_key=key, day=clock.today()).first() or SourceDay(source_key=key),
        "telling": MIN_COMPARED,
        "queue": queue_status([saved.queue])[saved.queue] if saved else QueueStatus(),
        "fresh_days": fresh_days(saved, source) if saved else source.fresh_days,
        "dead": [(job, people.get(job.payload["profile"])) for job in dead[:RECENT_LOOKUPS]],
        "dead_count": len(dead),
        "may_retry": may(request, RETRY_ROLE),
    }
    edits = _enrichment_shown(saved, source)
    return form_page(request, "console/enrichment_source.html", context, role=ROLE, problem=problem, edits=edits)
