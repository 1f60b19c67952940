"""One question between signing in and going on. Answer, pass and "don't ask again" are equally near."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from regulars.flows.answer import answer, never_again, pass_over
from regulars.profiles.models import Account
from regulars.questions.answer import BadAnswer
from regulars.questions.models import Ask

# No form-action: after the answer the browser follows redirects to the application that asked for the login, and
# browsers hold the whole chain to it, custom schemes of apps included.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self' data: https:",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
MAX_ID = 2**63 - 1


@never_cache
@require_http_methods(["GET", "POST"])
def question(request: HttpRequest) -> HttpResponse:
    """`/question?ask=<id>&next=<local path>`: shows the ask; a POST closes it and goes on.

    The ask must be the signed-in customer's own. One that is closed already is not shown: the browser goes on.
    """
    response = _answered(request)
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    return response


def _answered(request: HttpRequest) -> HttpResponse:
    if not isinstance(request.user, Account):
        return HttpResponseRedirect("/login?" + urlencode({"next": request.get_full_path()}))
    onward = local_path(request.GET.get("next", ""))
    ask = _own_ask(request.user, request.GET.get("ask", ""))
    if ask is None:
        return render(request, "signin/question.html", {"next": onward}, status=404)
    if request.method == "POST":
        return _close(request, ask, onward)
    if ask.outcome != Ask.Outcome.SHOWN:
        return HttpResponseRedirect(onward)
    return _page(request, ask)


def local_path(wanted: str) -> str:
    """Where to go on: a path of this house, or its front door."""
    local = wanted.startswith("/") and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None)
    return wanted if local else "/"


def _own_ask(account: Account, number: str) -> Ask | None:
    if not (number.isascii() and number.isdigit() and int(number[:20]) <= MAX_ID):
        return None
    asks = Ask.objects.filter(pk=number, profile__account=account)
    return asks.select_related("question__purpose", "profile").first()


def _close(request: HttpRequest, ask: Ask, onward: str) -> HttpResponse:
    match request.POST.get("do"):
        case "pass":
            pass_over(ask)
        case "never":
            never_again(ask)
        case _:
            try:
                answer(ask, request.POST)
            except BadAnswer as bad:
                return _page(request, ask, bad)
    return HttpResponseRedirect(onward)


def _page(request: HttpRequest, ask: Ask, bad: BadAnswer | None = None) -> HttpResponse:
    context = {
        "ask": ask,
        "question": ask.question,
        "field": ask.question.kind.field(ask.question.choices()),
        "given": request.POST.getlist("answer"),
        "problem": bad.sentence if bad else "",
    }
    return render(request, "signin/question.html", context, status=422 if bad else 200)
