"""`/unsubscribe/<token>`: say no without signing in, by a link of a mail, or by one click of the mail program (RFC 8058)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import get_language, gettext_noop
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from regulars.accounts.rate_limits import Attempt, TooManyAttempts, count_attempt
from regulars.base.crypto import fingerprint
from regulars.base.errors import NotFound
from regulars.consent.purposes import words_in
from regulars.consent.refusal_links import RefusalLink, open_link
from regulars.interfaces.pages.response_policy import page
from regulars.interfaces.pages.signed_in import client_ip
from regulars.usecases.refuse_consent import refuse_by_link

ONE_CLICK = ("List-Unsubscribe", "One-Click")  # the form of RFC 8058, section 3.1
BUTTON = ("say", "no")
DEAD = {
    "bad_link": gettext_noop("This link is not complete. Copy all of it from the mail."),
    "customer_erased": gettext_noop("What this link was about was erased. Nothing is used any more."),
}
ANY_ADVERTISING = gettext_noop("Object to any advertising")
ONE_PURPOSE = gettext_noop("Do not use my data for this")


@csrf_exempt  # who has the link may use it, and mail programs have no cookies
@require_http_methods(["GET", "HEAD", "POST"])
@page
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """GET and HEAD show what the button would do and change nothing: programs open every link of a mail."""
    try:
        link = _open(request, token)
        if request.method != "POST":
            return _show(request, link, done=False)
        one_click = ONE_CLICK in request.POST.items()
        if BUTTON not in request.POST.items() and not one_click:
            return _message(request, gettext_noop("The form was not complete. Go back and try again."), 400)
        count_attempt(Attempt("refuse", fingerprint(token), client_ip(request)))
        # By one click our page did not open: what the mail program sent is all there is.
        refuse_by_link(link, "=".join(ONE_CLICK) if one_click else _title(link), get_language() or "en")
        return _show(request, link, done=True)
    except NotFound as dead:
        return _message(request, DEAD.get(dead.code, dead.message), 404)
    except TooManyAttempts as refused:
        return _message(request, refused.message, 429)


def _open(request: HttpRequest, token: str) -> RefusalLink:
    try:
        return open_link(token)
    except NotFound as dead:
        if dead.code == "bad_link":
            count_attempt(Attempt("refuse_guess", "", client_ip(request)))
        raise


def _title(link: RefusalLink) -> str:
    return _(ONE_PURPOSE if link.purpose else ANY_ADVERTISING)


def _show(request: HttpRequest, link: RefusalLink, *, done: bool) -> HttpResponse:
    locale, label, text = words_in(link.purpose, get_language() or "en") if link.purpose else ("", "", "")
    context = {"title": _title(link), "locale": locale, "label": label, "text": text, "done": done}
    return render(request, "account/unsubscribe.html", context)


def _message(request: HttpRequest, sentence: str, status: int) -> HttpResponse:
    title = _("That did not work")
    return render(request, "account/unsubscribe.html", {"title": title, "sentence": _(sentence)}, status=status)
