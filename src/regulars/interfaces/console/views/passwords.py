"""What a password of a connection must be."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from regulars.accounts.passwords import Rules, rules_of, save_rules
from regulars.base.errors import DomainError
from regulars.connections.models import Connection

from ..door import may, require, staff_page
from ..forms import FormError, done, problem_of

ROLE = "admin"
CHECKS = ("common", "personal", "breached")


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page
def passwords(request: HttpRequest, name: str) -> HttpResponse:
    """The form of a connection's policy. It holds from the next new password on; nobody is signed out by it."""
    connection = Connection.objects.filter(name=name, strategy="auth0").first()
    if connection is None:
        raise Http404("This connection has no passwords.")
    if request.method != "POST":
        return _page(request, connection, rules_of(name))
    require(request, ROLE)
    rules = _read(request)
    try:
        save_rules(connection, rules)
    except DomainError as refused:
        return _page(request, connection, rules, problem_of(refused))
    here = f"/console/connections/{name}/passwords"
    return done(request, here, "connection.passwords", name, "The next new password must be like this.")


def _read(request: HttpRequest) -> Rules:
    checks = {check: request.POST.get(check) == "on" for check in CHECKS}
    return Rules(_number(request, "min_length"), history=_number(request, "history"), **checks)


def _number(request: HttpRequest, name: str) -> int:
    """-1, which no policy takes, for what is no number."""
    text = request.POST.get(name, "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else -1


def _page(request: HttpRequest, connection: Connection, rules: Rules, problem: FormError | None = None) -> HttpResponse:
    context = {"connection": connection, "rules": rules, "problem": problem, "may_write": may(request, ROLE)}
    return render(request, "console/passwords.html", context, status=400 if problem else 200)
