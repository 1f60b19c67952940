"""The sentence builder: its rows are in the address, a count stands beside them, and a second page saves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.text import slugify
from django.views.decorators.http import require_http_methods, require_safe

from regulars.accounts.models import Account
from regulars.base.conditions import to_text
from regulars.base.errors import Conflict, DomainError, Invalid
from regulars.consent.models import Purpose
from regulars.consent.purposes import get_purpose
from regulars.consent.uses import purposes_for_segments
from regulars.segments.builder import MODES, OPERATORS, SentenceForms, countable
from regulars.segments.count import report_count
from regulars.segments.known import Overview, overview
from regulars.segments.models import Segment
from regulars.segments.save import parse_cached
from regulars.segments.sentence import Sentence, complete, to_condition
from regulars.segments.sentence_query import edited, from_query, is_edit, to_query
from regulars.segments.small_groups import refuse_identifying
from regulars.segments.vocabulary import Vocabulary, sentence_of, suggested_name
from regulars.usecases.save_segment import save_and_evaluate

from ..edits import VERSION, FormContent, FormState, Value, creating, editing
from ..forms import FormError, form_error, form_state
from ..models import AuditEntry
from ..pages import done, may, show, staff_page
from .segments import ROLE, find_segment

RESERVED = frozenset({"new"})  # addresses beside the segments' own
DEFAULT_PURPOSE = "personalise"  # its segments can be exported and sent; those of `measure` are only counted


@dataclass(frozen=True)
class SegmentDraft:
    """The segment being built: rows, or a text that no sentence can express (then `sentence` is None)."""

    purpose: Purpose
    sentence: Sentence | None
    written: str = ""
    version: str = ""  # of the segment when its conditions were loaded, where one is edited

    @property
    def text(self) -> str:
        return self.written if self.sentence is None else to_text(to_condition(complete(self.sentence)))

    @property
    def query(self) -> str:
        rows = [("as", "text"), ("text", self.written)] if self.sentence is None else to_query(self.sentence)
        version = [(VERSION, self.version)] if self.version else []
        return urlencode([("for", self.purpose.key), *version, *rows])


@require_safe
@staff_page(read="viewer")
def new(request: HttpRequest) -> HttpResponse:
    return _build(request, "/console/segments/new", None)


@require_safe
@staff_page(read="viewer")
def edit(request: HttpRequest, slug: str) -> HttpResponse:
    found = find_segment(slug)
    if not may(request, ROLE):
        refuse_identifying(parse_cached(found.text), Vocabulary.load().attributes)
    return _build(request, f"/console/segments/{slug}/edit", found)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page(read="marketer", write="marketer")
def save_new(request: HttpRequest) -> HttpResponse:
    return _save(request, "/console/segments/new", None)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page(read="marketer", write="marketer")
def save_edited(request: HttpRequest, slug: str) -> HttpResponse:
    found = Segment.objects.select_related("purpose").filter(slug=slug).first()
    if found is None and request.method == "POST":
        return _deleted(request, slug)
    return _save(request, f"/console/segments/{slug}/edit", found or find_segment(slug))


def _deleted(request: HttpRequest, slug: str) -> HttpResponse:
    """Answer the save of a segment that is gone: nothing is made again, unless it is saved again as a new one."""
    entry = AuditEntry.objects.filter(what="segment.deleted", subject=slug).order_by("-at", "-id").first()
    by = f" by {entry.account} at {entry.at:%H:%M:%S} UTC on {entry.at:%d %B %Y}" if entry and entry.account else ""
    sentence = f"The segment {slug!r} was deleted{by}, after you opened it. Saving again makes a new segment."
    draft = replace(_draft(request, None), version="")
    return _save_page(request, "/console/segments/new", None, draft, FormError(sentence, status=404))


def _build(request: HttpRequest, address: str, segment: Segment | None) -> HttpResponse:
    draft = _draft(request, segment)
    if draft.sentence is not None and is_edit(request.GET):
        sentence, place = edited(draft.sentence, request.GET)
        query = replace(draft, sentence=sentence).query
        return HttpResponseRedirect(f"{address}?{query}#{place or 'builder'}")
    if segment is not None and not request.GET:
        return HttpResponseRedirect(f"{address}?{draft.query}")
    vocabulary = Vocabulary.load()
    exact = may(request, ROLE)
    count = report_count(draft.text, draft.purpose.key, vocabulary, exact=exact)
    context: dict[str, object] = {
        "draft": draft,
        "count": count,
        "exact": exact,
        "address": address,
        "segment": segment,
        "unfinished": _unfinished(draft.sentence) if draft.sentence is not None else 0,
    }
    if request.headers.get("HX-Request"):
        response = show(request, "console/segments/builder.html", context, part="count")
        response.headers["HX-Replace-Url"] = f"{address}?{draft.query}"
        return response
    context |= _forms(draft, vocabulary, exact)
    return render(request, "console/segments/builder.html", context, status=400 if count.spot else 200)


def _unfinished(sentence: Sentence) -> int:
    """Return how many conditions have no value yet."""
    return _row_count(sentence) - _row_count(complete(sentence))


def _forms(draft: SegmentDraft, vocabulary: Vocabulary, exact: bool) -> dict[str, object]:
    purposes = sorted(purposes_for_segments(), key=lambda each: each.label)
    shared: dict[str, object] = {"purposes": purposes, "modes": MODES, "operators": OPERATORS}
    if draft.sentence is None:
        as_sentence = sentence_of(draft.written)
        return {**shared, "as_sentence": as_sentence and replace(draft, sentence=as_sentence, written="").query}
    try:
        known = overview(draft.purpose.key, countable(vocabulary.attributes, draft.purpose.key))
    except DomainError:
        known = Overview(0, {}, {})
    known = known if exact else known.of_groups()
    forms, countable_part = SentenceForms(draft.purpose.key, vocabulary, known, exact), complete(draft.sentence)
    return {
        **shared,
        "groups": forms.groups(draft.sentence),
        "choices": list(forms.choices()),
        "as_text": replace(draft, sentence=None, written=draft.text).query,
        "in_words": vocabulary.sentence(countable_part),
    }


def _save(request: HttpRequest, address: str, segment: Segment | None) -> HttpResponse:
    """Ask for a name; a POST of the page saves, evaluates every customer, and goes to the segment."""
    draft = _draft(request, segment)
    if request.method != "POST":
        return _save_page(request, address, segment, draft)
    name, description = request.POST.get("name", "").strip()[:128], request.POST.get("description", "").strip()
    try:
        if segment:
            typed: dict[str, Value] = {"name": name, "description": description}
            typed |= {"for": draft.purpose.key, "text": draft.text}
            with editing(request, segment, _shown, typed) as row:
                return _saved(request, draft, name, description, row)
        with creating(request) as sent:
            response = _saved(request, draft, name, description, None)
            sent.address = response.headers["Location"]
            return response
    except DomainError as error:
        problem = form_error(error)
    if problem.change:
        draft = replace(draft, version=problem.change.version)
    return _save_page(request, address, segment, draft, problem)


def _shown(segment: Segment) -> FormContent:
    values: dict[str, Value] = {"name": segment.name, "description": segment.description}
    values |= {"for": segment.purpose_id, "text": segment.text}
    return FormContent(segment.slug, ("segment.saved",), values, labels={"text": "Condition"})


def _save_page(
    request: HttpRequest, address: str, segment: Segment | None, draft: SegmentDraft, problem: FormError | None = None
) -> HttpResponse:
    vocabulary = Vocabulary.load()
    sentence = sentence_of(draft.text)
    suggested = segment.name if segment else suggested_name(sentence, vocabulary) if sentence else ""
    name = request.POST.get("name", suggested).strip()[:128]
    description = request.POST.get("description", segment.description if segment else "").strip()
    state = FormState(VERSION, draft.version) if segment else form_state(request, None, problem)
    context = {
        "draft": draft,
        "segment": segment,
        "address": address,
        "name": name,
        "description": description,
        "problem": problem,
        "form_state": state,
        "in_words": vocabulary.text(draft.text),
        "count": report_count(draft.text, draft.purpose.key, vocabulary, exact=True),
        "exact": True,
    }
    return render(request, "console/segments/save.html", context, status=problem.status if problem else 200)


def _saved(request: HttpRequest, draft: SegmentDraft, name: str, description: str, row: Segment | None) -> HttpResponse:
    by = request.user if isinstance(request.user, Account) else None
    if not name:
        raise Invalid("no_name", "Give the segment a name.", "name")
    saved, moved = save_and_evaluate(
        name,
        draft.text,
        draft.purpose.key,
        slug=row.slug if row else _free_slug(name),
        description=description,
        by=by,
        segment=row,
        new=row is None,
    )
    details = {"text": saved.text, "purpose": saved.purpose_id, "moved": moved}
    sentence = "Saved. The membership of every customer is up to date."
    return done(request, f"/console/segments/{saved.slug}", "segment.saved", saved.slug, sentence, **details)


def _free_slug(name: str) -> str:
    """Return a slug of the name that is not taken: two names may come to one slug. Raises `Conflict("name_taken")`."""
    if Segment.objects.filter(name__iexact=name).exists():
        raise Conflict("name_taken", f"There is a segment called {name!r} already. Give this one another name.", "name")
    base = slugify(name)[:56] or "segment"
    taken = set(Segment.objects.filter(slug__startswith=base).values_list("slug", flat=True)) | RESERVED
    return next(slug for slug in (base, *(f"{base}-{number}" for number in range(2, 10_000))) if slug not in taken)


def _draft(request: HttpRequest, segment: Segment | None) -> SegmentDraft:
    key = request.GET.get("for") or (segment.purpose_id if segment else "")
    if not key:
        active = [each.key for each in purposes_for_segments()]
        key = DEFAULT_PURPOSE if DEFAULT_PURPOSE in active else next(iter(active), "")
    purpose = get_purpose(key)
    version = request.POST.get(VERSION, request.GET.get(VERSION, "")) if segment else ""
    if request.GET.get("as") == "text":
        return SegmentDraft(purpose, None, request.GET.get("text", ""), version)
    if segment is not None and not request.GET:
        sentence = sentence_of(segment.text)
        version = request.POST.get(VERSION, _shown(segment).version)
        return SegmentDraft(purpose, sentence, "" if sentence else segment.text, version)
    return SegmentDraft(purpose, from_query(request.GET), version=version)


def _row_count(sentence: Sentence) -> int:
    return sum(len(group.rows) for group in sentence.groups)
