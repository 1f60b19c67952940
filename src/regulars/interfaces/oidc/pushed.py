"""/oauth/par: an app leaves its authorization request with us, and sends the browser with a reference (RFC 9126)."""

from __future__ import annotations

import datetime as dt

from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils import timezone

from regulars.base.crypto import fingerprint, random_secret
from regulars.oauth.models import PushedRequest

from . import protocol
from .asking import read, read_address
from .cors import open_to_scripts
from .errors import NonRedirectableError, OAuthError
from .token import answer_json, read_params

NAME = "urn:ietf:params:oauth:request_uri:"
LIVES = 30  # seconds, as Auth0's: the browser is sent at once
CREDENTIALS = ("client_secret", "client_assertion", "client_assertion_type")


@open_to_scripts("POST")
def push(request: HttpRequest) -> HttpResponse:
    """The request is read as /authorize would read it, so that what is wrong is said here, to the app alone."""
    try:
        params = read_params(request)
        client = protocol.authenticate(params, request.headers)
        query = QueryDict(mutable=True)
        query.update({**params, "client_id": client.pk})
        for name in CREDENTIALS:
            query.pop(name, None)
        read(query, read_address(query))
    except OAuthError as refusal:
        return answer_json(
            protocol.no(OAuthError(refusal.error, refusal.description, 401 if refusal.status == 401 else 400))
        )
    except NonRedirectableError as lost:
        return answer_json(protocol.no(OAuthError("invalid_request", lost.sentence)))
    reference = NAME + random_secret(43)
    PushedRequest.objects.create(
        hash=fingerprint(reference),
        client=client,
        params=query.dict(),
        expires_at=timezone.now() + dt.timedelta(seconds=LIVES),
    )
    return answer_json(protocol.Answer(201, {"request_uri": reference, "expires_in": LIVES}, {}))


def take(reference: str, client_id: str) -> QueryDict:
    """The request behind a reference, for one of however many ask. `NonRedirectableError` when it is used, old or another app's."""
    waiting = PushedRequest.objects.filter(hash=fingerprint(reference), expires_at__gt=timezone.now())
    row = waiting.filter(client_id=client_id).first() if len(client_id) < 256 and "\0" not in client_id else None
    if row is None or not waiting.delete()[0]:
        sentence = "The request of the app that sent you here was used already, or waited too long."
        raise NonRedirectableError("invalid_request_uri", sentence)
    query = QueryDict(mutable=True)
    query.update(row.params)
    return query
