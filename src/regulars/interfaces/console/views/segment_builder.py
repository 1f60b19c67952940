"""The sentence builder: rows in the address, a count beside them, and a page that saves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.text import slugify
from django.views.decorators.http import require_http_methods, require_safe

from regulars.accounts.models import Account
from regulars.base.conditions import to_text
from regulars.base.errors import DomainError, Invalid
from regulars.consent.models import Purpose
from regulars.consent.purposes import get_purpose
from regulars.segments.builder import MODES, OPERATORS, SentenceForms, countable
from regulars.segments.count import report_count
from regulars.segments.known import Overview, overview
from regulars.segments.models import Segment
from regulars.segments.sentence import Sentence, complete, to_condition
from regulars.segments.sentence_query import edited, from_query, is_edit, to_query
from regulars.segments.vocabulary import Vocabulary, sentence_of, suggested_name
from regulars.usecases.save_segment import save_and_evaluate

from .. import audit
from ..door import may, require, show, staff_page

RESERVED = frozenset({"new"})  # addresses beside the segments' own
DEFAULT_PURPOSE = "measure"


@dataclass(frozen=True)
class Draft:
    """What is being built: rows, or a text when it is too free for rows (then `sentence` is None)."""

    purpose: Purpose
    sentence: Sentence | None
    written: str = ""

    @property
    def text(self) -> str:
        return self.written if self.sentence is None else to_text(to_condition(complete(self.sentence)))

    @property
    def query(self) -> str:
        rows = [("as", "text"), ("text", self.written)] if self.sentence is None else to_query(self.sentence)
        return urlencode([("for", self.purpose.key), *rows])


@require_safe
@staff_page
def new(request: HttpRequest) -> HttpResponse:
    return _build(request, "/console/segments/new", None)


@require_safe
@staff_page
def edit(request: HttpRequest, slug: str) -> HttpResponse:
    return _build(request, f"/console/segments/{slug}/edit", find_segment(slug))


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page
def save_new(request: HttpRequest) -> HttpResponse:
    return _save(request, "/console/segments/new", None)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page
def save_edited(request: HttpRequest, slug: str) -> HttpResponse:
    return _save(request, f"/console/segments/{slug}/edit", find_segment(slug))


def find_segment(slug: str) -> Segment:
    segment = Segment.objects.select_related("purpose", "saved_by").filter(slug=slug).first()
    if segment is None:
        raise Http404("There is no such segment.")
    return segment


def _build(request: HttpRequest, address: str, segment: Segment | None) -> HttpResponse:
    draft = _draft(request, segment)
    if draft.sentence is not None and is_edit(request.GET):
        sentence, place = edited(draft.sentence, request.GET)
        return _to(address, Draft(draft.purpose, sentence), place or "builder")
    if segment is not None and not request.GET:
        return _to(address, draft)
    vocabulary = Vocabulary.load()
    count = report_count(draft.text, draft.purpose.key, vocabulary)
    context = {
        "draft": draft,
        "count": count,
        "exact": may(request, "marketer"),
        "address": address,
        "segment": segment,
    }
    if request.headers.get("HX-Request"):
        response = show(request, "console/segments/builder.html", context, part="count")
        response.headers["HX-Replace-Url"] = f"{address}?{draft.query}"
        return response
    context |= _forms(draft, vocabulary)
    return render(request, "console/segments/builder.html", context, status=400 if count.spot else 200)


def _forms(draft: Draft, vocabulary: Vocabulary) -> dict[str, Any]:
    shared = {"purposes": Purpose.objects.filter(active=True).order_by("label"), "modes": MODES, "operators": OPERATORS}
    if draft.sentence is None:
        as_sentence = sentence_of(draft.written)
        return {**shared, "as_sentence": as_sentence and Draft(draft.purpose, as_sentence).query}
    try:
        known = overview(draft.purpose.key, countable(vocabulary.attributes, draft.purpose.key))
    except DomainError:
        known = Overview(0, {}, {})
    builder = SentenceForms(draft.purpose.key, vocabulary, known)
    return {
        **shared,
        "groups": builder.groups(draft.sentence),
        "choices": list(builder.choices()),
        "unfinished": _rows(draft.sentence) - _rows(complete(draft.sentence)),
        "as_text": Draft(draft.purpose, None, draft.text).query,
        "said": vocabulary.sentence(complete(draft.sentence)),
    }


def _save(request: HttpRequest, address: str, segment: Segment | None) -> HttpResponse:
    """The page that asks for a name; a POST of it saves, puts everybody where she stands, and goes to the segment."""
    require(request, "marketer")
    draft, vocabulary = _draft(request, segment), Vocabulary.load()
    sentence = sentence_of(draft.text)
    suggested = segment.name if segment else suggested_name(sentence, vocabulary) if sentence else ""
    name = request.POST.get("name", suggested).strip()[:128]
    description = request.POST.get("description", segment.description if segment else "").strip()
    context: dict[str, Any] = {
        "draft": draft,
        "segment": segment,
        "address": address,
        "name": name,
        "description": description,
    }
    if request.method == "POST":
        try:
            slug = segment.slug if segment else _free_slug(name)
            return _saved(request, draft, slug, name, description)
        except DomainError as refused:
            context["problem"] = refused.message
    context |= {
        "said": vocabulary.text(draft.text),
        "count": report_count(draft.text, draft.purpose.key, vocabulary),
        "exact": True,
    }
    return render(request, "console/segments/save.html", context, status=400 if "problem" in context else 200)


def _saved(request: HttpRequest, draft: Draft, slug: str, name: str, description: str) -> HttpResponse:
    by = request.user if isinstance(request.user, Account) else None
    if not name:
        raise Invalid("no_name", "Give the segment a name.")
    segment, moved = save_and_evaluate(name, draft.text, draft.purpose.key, slug=slug, description=description, by=by)
    audit.note(request, "segment.saved", segment.slug, text=segment.text, purpose=segment.purpose_id, moved=moved)
    messages.success(request, "Saved. Every customer stands where it says now.")
    return HttpResponseRedirect(f"/console/segments/{segment.slug}")


def _free_slug(name: str) -> str:
    """A slug of the name that no segment has yet: a new segment never takes the place of an old one."""
    base = slugify(name)[:56] or "segment"
    taken = set(Segment.objects.filter(slug__startswith=base).values_list("slug", flat=True)) | RESERVED
    return next(slug for slug in (base, *(f"{base}-{number}" for number in range(2, 10_000))) if slug not in taken)


def _draft(request: HttpRequest, segment: Segment | None) -> Draft:
    purpose = get_purpose(request.GET.get("for") or _first_purpose(segment))
    if request.GET.get("as") == "text":
        return Draft(purpose, None, request.GET.get("text", ""))
    if segment is not None and not request.GET:
        sentence = sentence_of(segment.text)
        return Draft(purpose, sentence, "" if sentence else segment.text)
    return Draft(purpose, from_query(request.GET))


def _first_purpose(segment: Segment | None) -> str:
    if segment is not None:
        return segment.purpose_id
    active = Purpose.objects.filter(active=True).order_by("key").values_list("key", flat=True)
    return DEFAULT_PURPOSE if DEFAULT_PURPOSE in active else next(iter(active), "")


def _rows(sentence: Sentence) -> int:
    return sum(len(group.rows) for group in sentence.groups)


def _to(address: str, draft: Draft, place: str = "") -> HttpResponse:
    return HttpResponseRedirect(f"{address}?{draft.query}" + (f"#{place}" if place else ""))
