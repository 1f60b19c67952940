"""Privacy: purposes and their notices, consent decisions and their ledger, erasures, and retention."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.db.models import Count, F, Max, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.timesince import timesince
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from regulars.accounts.models import Account
from regulars.base import clock
from regulars.base.errors import DomainError, Unavailable
from regulars.clients.models import ResourceServer
from regulars.consent.fold import YES
from regulars.consent.models import ConsentEvent, ConsentState, Erasure, Notice, Purpose
from regulars.consent.purposes import PurposeText
from regulars.consent.record import first_broken_link
from regulars.destinations.disclosures import is_carried_out
from regulars.destinations.manual_requests import finish_request
from regulars.destinations.models import Disclosure, ManualRequest
from regulars.oauth.authorization_request import DEFAULT_LIFETIME, FRONT_CHANNEL_LIFETIME
from regulars.oauth.tokens import ID_TOKEN_LIFETIME
from regulars.profiles.learn import WHY_REFUSED
from regulars.profiles.models import RefusedGuess
from regulars.profiles.upstream_tokens import UpstreamRevocation
from regulars.usecases.decide_consent import change_purpose
from regulars.usecases.erase import find_customers
from regulars.usecases.import_consents import import_consents, read_list
from regulars.usecases.retention import KINDS, DataKind, days_of, set_retention, starts, upcoming

from ..edits import FormContent, editing, lock_form, refuse_outdated
from ..forms import FormError, form_error, form_page, whole_number
from ..pages import NO_ROLE, done, downloads, staff_page

ROLE = "admin"
SHOWN = 50
HOME = "/console/privacy"
LARGEST_ID = 2**63 - 1
LARGEST_LIST = 1_000_000  # bytes; it is read within the request
Action = ConsentEvent.Action


@require_safe
@staff_page(read="marketer")
def privacy(request: HttpRequest) -> HttpResponse:
    return _page(request)


@require_POST
@staff_page(read=NO_ROLE, write="admin")
def retention(request: HttpRequest) -> HttpResponse:
    """Save the retention of all kinds at once; a kind that is not on the form stays as it is."""
    given = {key: request.POST[key].strip() for key in KINDS if key in request.POST}
    for key, text in given.items():
        if text and whole_number(text, 6) is None:
            return _page(request, FormError("Write a number of days, or nothing.", key), given)
    try:
        with transaction.atomic():
            lock_form("retention")
            refuse_outdated(request, _retention_shown())
            for key, text in given.items():
                set_retention(key, int(text) if text else None)
            return done(request, HOME, "retention.changed", "", "Saved. The worker applies it from now on.", **given)
    except DomainError as error:
        return _page(request, form_error(error), given)


def _retention_shown() -> FormContent:
    days = {key: "" if days is None else str(days) for key, days in days_of().items()}
    labels = {key: kind.label for key, kind in KINDS.items()}
    return FormContent("", ("retention.changed",), days, labels=labels)


@require_POST
@staff_page(read=NO_ROLE, write="admin")
def import_list(request: HttpRequest) -> HttpResponse:
    """Import a list of decisions that another system recorded."""
    uploaded = request.FILES.get("list")
    assert isinstance(request.user, Account)
    if not isinstance(uploaded, UploadedFile) or (uploaded.size or 0) > LARGEST_LIST:
        return _page(request, FormError("Choose a CSV file of at most 1 MB. The command takes larger ones.", "list"))
    try:
        rows = read_list(uploaded.read().decode("utf-8-sig").splitlines(keepends=True))
        result = import_consents(rows, f"staff:{request.user.key}")
    except UnicodeDecodeError:
        return _page(request, FormError("The list is not in UTF-8.", "list"))
    except Unavailable:  # a page of its own
        raise
    except DomainError as error:
        return _page(request, FormError(error.message, "list"))
    if result.problems:
        listed = " ".join(f"Row {each.row}: {each.message}" for each in result.problems)
        return _page(request, FormError(f"Nothing was imported. {listed}", "list"))
    sentence = f"{result.recorded} decisions imported, {result.known} were there already."
    return done(
        request, HOME, "consents.imported", uploaded.name or "", sentence, recorded=result.recorded, known=result.known
    )


@require_POST
@staff_page(read=NO_ROLE, write="admin")
def request_done(request: HttpRequest, number: int) -> HttpResponse:
    """Mark a request to a service that a rule called as carried out."""
    assert isinstance(request.user, Account)
    row = finish_request(min(number, LARGEST_ID), f"staff:{request.user.key}")
    return done(request, HOME, "manual_request.done", row.name, f"{row.name} is marked as done.")


@require_http_methods(["GET", "POST"])
@staff_page(read="marketer", write="admin")
def purpose(request: HttpRequest, key: str) -> HttpResponse:
    found = Purpose.objects.filter(key=key, active=True).first()
    if found is None:
        raise Http404("There is no such purpose.")
    typed = _purpose_texts(found)
    if request.method == "GET":
        return _purpose_page(request, found, typed)
    # Browsers send lines as CRLF: a text that was left alone must equal the stored one.
    typed = {name: request.POST.get(name, was).strip().replace("\r\n", "\n") for name, was in typed.items()}
    translations = {
        locale: {name: typed[f"{name}.{locale}"] for name in ("label", "text")}
        for locale in _languages(found)
        if typed[f"label.{locale}"] or typed[f"text.{locale}"]
    }
    widened, days = "widened" in request.POST, typed["expires_days"]
    if days and whole_number(days, 4000) is None:
        return _purpose_page(request, found, typed, FormError("Write a number of days, or nothing.", "expires_days"))
    lasts = int(days[:9]) if days else None
    try:
        with editing(request, found, _purpose_shown):
            saved = change_purpose(
                key,
                PurposeText(typed["label"], typed["text"], translations, lasts),
                widened=widened,
                still_right="still_right" in request.POST,
                direct_marketing="direct_marketing" in request.POST,
            )
            outdated = ", ".join(_languages(found)[each] for each in translations if each not in saved.translations)
            return done(
                request,
                HOME,
                "purpose.changed",
                key,
                "Saved. A consent keeps the notice text it was given to."
                + (
                    f" Translate it again into {outdated}: until then its readers see the text above."
                    if outdated
                    else ""
                ),
                widened=widened,
                direct_marketing="direct_marketing" in request.POST,
            )
    except DomainError as error:
        return _purpose_page(request, found, typed, form_error(error))


def _purpose_texts(found: Purpose) -> dict[str, str]:
    typed = {"label": found.label, "text": found.text, "expires_days": str(found.expires_days or "")}
    for locale in _languages(found):
        words = found.translations.get(locale, {})
        typed |= {f"{name}.{locale}": words.get(name, "") for name in ("label", "text")}
    return typed


def _purpose_shown(found: Purpose) -> FormContent:
    ticks = {"direct_marketing": found.is_direct_marketing, "widened": False, "still_right": False}
    labels = {"label": "Name", "expires_days": "Consent lasts, in days", "widened": "It covers more than before"}
    return FormContent(found.key, ("purpose.changed",), {**_purpose_texts(found), **ticks}, found.version, labels)


def _languages(purpose: Purpose) -> dict[str, str]:
    """Return the languages in which a purpose is written beside English: those of the pages, and any that it has."""
    pages = {code.partition("-")[0]: str(name) for code, name in settings.LANGUAGES if code != "en"}
    return {**pages, **{locale: locale for locale in purpose.translations if locale not in pages}}


def _page(request: HttpRequest, problem: FormError | None = None, given: dict[str, str] | None = None) -> HttpResponse:
    refused = RefusedGuess.objects.order_by().values("attribute", "source", "why")
    refused = refused.annotate(days=Count("id"), last=Max("day")).order_by("-last", "attribute", "source")[:SHOWN]
    guesses = [{**row, "why": WHY_REFUSED.get(row["why"], row["why"])} for row in refused]
    waiting = starts()
    kept = {key: "" if days is None else str(days) for key, days in days_of().items()} | (given or {})
    states = (
        ConsentState.objects.order_by()
        .values("purpose")
        .annotate(
            asked=Count("id"),
            yes=Count("id", filter=Q(status__in=YES)),
            no=Count("id", filter=Q(status=Action.REFUSED)),
            withdrawn=Count("id", filter=Q(status__in=(Action.WITHDRAWN, Action.OBJECTED, Action.GPC))),
            outdated=Count("id", filter=_is_outdated()),
        )
    )
    counts = {row["purpose"]: row for row in states}
    context = {
        "purposes": [
            {
                "asked": 0,
                "yes": 0,
                "no": 0,
                "withdrawn": 0,
                "outdated": 0,
                **counts.get(each.key, {}),
                "purpose": each,
            }
            for each in Purpose.objects.filter(active=True).order_by("key")
        ],
        "erasures": [_erasure(each) for each in Erasure.objects.order_by("-at")[:SHOWN]],
        "manual": list(ManualRequest.objects.filter(done_at=None).select_related("profile").order_by("id")[:SHOWN]),
        "manual_count": ManualRequest.objects.filter(done_at=None).count(),
        "downloads": downloads(),
        "guesses": guesses,
        "kinds": [(key, kind.label, kept[key], _help_of(key, kind, waiting.get(key))) for key, kind in KINDS.items()],
        "upcoming": upcoming(),
        "tokens": list(_lifetimes()),
        "actions": Action.values,
        **_ledger(request),
    }
    return form_page(request, "console/privacy.html", context, role=ROLE, problem=problem, edits=_retention_shown())


def _lifetimes() -> Iterator[tuple[str, str]]:
    """Yield each kind of token with how long it is good, for those that go through the browser too where that differs."""
    yield "ID tokens", _duration(ID_TOKEN_LIFETIME)
    found = [("Access tokens for /userinfo", DEFAULT_LIFETIME, FRONT_CHANNEL_LIFETIME)]
    apis = ResourceServer.objects.order_by("name", "identifier")
    found += [(f"Access tokens for {each.name}", each.token_lifetime, each.token_lifetime_for_web) for each in apis]
    for name, usual, for_web in found:
        yield name, _duration(usual) + ("" if usual == for_web else f"; through the browser {_duration(for_web)}")


def _duration(seconds: int) -> str:
    """Return a duration in words: `10 hours`."""
    start = clock.now()
    return timesince(start, start + dt.timedelta(seconds=seconds)).replace("\xa0", " ")


def _help_of(key: str, kind: DataKind, starts_at: dt.datetime | None) -> str:
    sentence = f"days; default {kind.days}: {kind.why}"
    return sentence + (f". Nothing is deleted before {starts_at:%d %B %Y}" if starts_at else "")


def _is_outdated() -> Q:
    return Q(status__in=YES, event__purpose_version__lt=F("purpose__consents_from"))


def _erasure(erasure: Erasure) -> dict[str, object]:
    disclosures = Disclosure.objects.filter(pk__in=erasure.disclosures)
    networks = UpstreamRevocation.objects.filter(erasure=erasure.pk)
    answered = disclosures.filter(state=Disclosure.State.REMOVED).select_related("destination")
    carried_out = sum(map(is_carried_out, answered))
    manual = ManualRequest.objects.filter(erasure=erasure.pk)
    return {
        "erasure": erasure,
        "rows": sum(before - after for before, after in erasure.removed.values()),
        "confirmed": carried_out + manual.exclude(done_at=None).count(),
        "received": len(answered) - carried_out,
        "open": disclosures.exclude(state=Disclosure.State.REMOVED).count() + manual.filter(done_at=None).count(),
        "networks": networks.count(),
        "left": networks.filter(state__in=(UpstreamRevocation.State.WAITING, UpstreamRevocation.State.FAILED)).count(),
    }


def _ledger(request: HttpRequest) -> dict[str, object]:
    """Return the newest matching decisions; for one customer also whether their hash chain is intact."""
    query, action = request.GET.get("q", "").strip()[:255], request.GET.get("action", "")
    events = ConsentEvent.objects.select_related("profile", "purpose").order_by("-id")
    people = find_customers(query) if query else []
    if query:
        events = events.filter(profile__in=people)
    if action in Action.values:
        events = events.filter(action=action)
    return {
        "ledger": list(events[:SHOWN]),
        "query": query,
        "action": action,
        "broken": next((broken for person in people if (broken := first_broken_link(person))), None),
        "checked": ", ".join(person.user_id for person in people),
    }


def _purpose_page(
    request: HttpRequest, found: Purpose, typed: dict[str, str], problem: FormError | None = None
) -> HttpResponse:
    notices = Notice.objects.filter(purpose=found).annotate(decisions=Count("consentevent")).order_by("-version")
    outdated = ConsentState.objects.filter(_is_outdated(), purpose=found).select_related("profile")
    context = {
        "purpose": found,
        "label": typed["label"],
        "text": typed["text"],
        "expires": typed["expires_days"],
        "widened": "widened" in request.POST,
        "direct_marketing": "direct_marketing" in request.POST if request.POST else found.is_direct_marketing,
        "still_right": "still_right" in request.POST,
        "translations": [
            (f"label.{locale}", f"text.{locale}", name, typed[f"label.{locale}"], typed[f"text.{locale}"])
            for locale, name in _languages(found).items()
        ],
        "notices": list(notices[:SHOWN]),
        "outdated": list(outdated.order_by("profile_id")[:SHOWN]),
    }
    edits = _purpose_shown(found)
    return form_page(request, "console/purpose.html", context, role=ROLE, problem=problem, edits=edits)
