"""One question between signing in and going on. Answer, pass and "don't ask again" are equally near."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.utils.translation import get_language, get_supported_language_variant, override
from django.views.decorators.http import require_http_methods

from regulars.consent.notices import NoticeChangedError
from regulars.interfaces.pages.language import named_language
from regulars.interfaces.pages.response_policy import page
from regulars.interfaces.pages.signed_in import customer
from regulars.profiles.models import Profile
from regulars.questions.answer import BadAnswer
from regulars.questions.models import Impression
from regulars.questions.next_question import as_of_now, ask_one_more, may_offer_more, show_again, show_in
from regulars.questions.wording import direction, wording_of
from regulars.usecases.answer_question import answer, never_again, pass_over
from regulars.usecases.shown_notices import recipients_text, show_question

from .entry import onward

MAX_ID = 2**63 - 1
Refused = BadAnswer | NoticeChangedError


@require_http_methods(["GET", "POST"])
@page
def question(request: HttpRequest) -> HttpResponse:
    """`/question?impression=<id>&next=<local path>`: shows the ask; a POST closes it and goes on.

    The ask must be the signed-in customer's own. One that is closed already is not shown: the browser goes on.
    """
    profile = customer(request)
    if profile is None:
        return HttpResponseRedirect("/login?" + urlencode({"next": request.get_full_path()}))
    goes_to = onward(request)
    impression = _own_impression(profile, request.GET.get("impression", ""))
    if impression is None:
        return render(request, "login/question.html", {"next": goes_to}, status=404)
    if request.method == "POST":
        return _close(request, show_in(impression, request.POST.get("shown") or impression.locale), goes_to)
    impression = show_in(impression, _language(request, impression))
    return _page(request, impression) if _can_be_shown(impression) else HttpResponseRedirect(goes_to)


def _language(request: HttpRequest, impression: Impression) -> str:
    """Return the language of the page; that of the question where only the business has texts in it and none was named."""
    try:
        get_supported_language_variant(impression.locale)
    except LookupError:
        return named_language(request) or impression.locale
    return get_language() or impression.locale


def _can_be_shown(impression: Impression) -> bool:
    """Still open, in the words that were written down as shown, and about a value that may still be used.

    A question reworded meanwhile is asked another day.
    """
    is_open = impression.outcome == Impression.Outcome.SHOWN and impression.version == impression.question.version
    return is_open and as_of_now(impression) is not None


def _own_impression(profile: Profile, number: str) -> Impression | None:
    if not (number.isascii() and number.isdigit() and int(number[:20]) <= MAX_ID):
        return None
    impressions = Impression.objects.filter(pk=number, profile=profile)
    return impressions.select_related("question__purpose", "profile").first()


def _close(request: HttpRequest, impression: Impression, goes_to: str) -> HttpResponse:
    match request.POST.get("do"):
        case "pass":
            pass_over(impression)
        case "never":
            never_again(impression)
        case _:
            try:
                closed = answer(impression, request.POST)
            except BadAnswer as bad:
                return _page(request, impression, bad) if _can_be_shown(impression) else HttpResponseRedirect(goes_to)
            except NoticeChangedError as changed:
                again = show_again(impression, request.POST.get("shown") or impression.locale)
                return _page(request, again, changed) if again else HttpResponseRedirect(goes_to)
            if closed and may_offer_more(impression):
                return _to("/question/more", impression, goes_to)
    return HttpResponseRedirect(goes_to)


@require_http_methods(["GET", "POST"])
@page
def one_more(request: HttpRequest) -> HttpResponse:
    """`/question/more?impression=<id>&next=`: thanks for the answer, and the offer of another question. Going on is as near."""
    goes_to = onward(request)
    profile = customer(request)
    impression = _own_impression(profile, request.GET.get("impression", "")) if profile else None
    if impression is None or request.POST.get("do") == "no":
        return HttpResponseRedirect(goes_to)
    if request.method == "POST":
        further = ask_one_more(impression, get_language() or impression.locale)
        return _to("/question", further, goes_to) if isinstance(further, Impression) else HttpResponseRedirect(goes_to)
    if not may_offer_more(impression):
        return HttpResponseRedirect(goes_to)
    with override(impression.locale):
        return render(
            request,
            "login/another_question.html",
            {"direction": direction(impression.locale), "locale": impression.locale},
        )


def _to(place: str, impression: Impression, goes_to: str) -> HttpResponse:
    return HttpResponseRedirect(f"{place}?" + urlencode({"impression": impression.pk, "next": goes_to}))


def _page(request: HttpRequest, impression: Impression, refused: Refused | None = None) -> HttpResponse:
    """Draw the page in the language that the question is asked in."""
    status = 200 if refused is None else 409 if isinstance(refused, NoticeChangedError) else 422
    with override(impression.locale):
        return render(request, "login/question.html", page_of(impression, request.POST, refused), status=status)


def page_of(impression: Impression, form: QueryDict, refused: Refused | None) -> dict[str, object]:
    """Return the context of the template: the wording, the input for the answer, and why the answer was refused."""
    wording, question = wording_of(impression), impression.question
    offered = question.label_of(impression.to_confirm) if impression.to_confirm is not None else ""
    notice = show_question(impression)
    return {
        "impression": impression,
        "question": question,
        "wording": wording,
        "text": wording.text_for(offered),
        "offered": offered,
        "direction": direction(wording.locale),
        "field": question.kind.field(wording.options, wording.locale),
        "given": form.getlist("answer"),
        "other": form.getlist("other"),
        "notice": notice.hash,
        "recipients": recipients_text(notice),
        "problem": refused.message if refused else "",
    }
