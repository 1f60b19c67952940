"""Pushed authorization requests (RFC 9126): an app leaves its request here and sends the browser with a reference."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from django.utils import timezone

from regulars.base.crypto import fingerprint, random_secret
from regulars.clients.models import Client

from .authorization_request import Endpoint, Parameters, read_authorization_request, read_return_address
from .dialect import Answers
from .models import PushedRequest
from .protocol_errors import NonRedirectableError, OAuthError

REFERENCE_PREFIX = "urn:ietf:params:oauth:request_uri:"
LIFETIME = 30  # seconds, as Auth0's: the browser is sent at once
EXPIRED = "The request of the app that sent you here was used already, or waited too long."
CREDENTIALS = ("client_secret", "client_assertion", "client_assertion_type")


def push_request(client: Client, params: Mapping[str, str]) -> str:
    """Store the request and return its reference.

    The request is checked as /authorize would check it, so that the app alone gets the error. Raises `OAuthError`.
    """
    stored = {name: value for name, value in params.items() if name not in CREDENTIALS} | {"client_id": client.pk}
    try:
        parameters = Parameters.of(stored)
        read_authorization_request(Endpoint.PAR, client, parameters, read_return_address(parameters))
    except NonRedirectableError as error:
        raise OAuthError("invalid_request", error.sentence) from None
    except OAuthError as error:
        raise OAuthError(error.error, error.description, 400, standard=error.code(Answers.OPENID)) from None
    reference = REFERENCE_PREFIX + random_secret(43)
    PushedRequest.objects.create(
        hash=fingerprint(reference),
        client=client,
        params=stored,
        expires_at=timezone.now() + dt.timedelta(seconds=LIFETIME),
    )
    return reference


def is_reference(request_uri: str) -> bool:
    """Return whether a `request_uri` is one of ours; any other names a document, which is never fetched."""
    return request_uri.startswith(REFERENCE_PREFIX)


def take_request(reference: str, client_id: str) -> Parameters:
    """Return the request behind a reference, to one of any number of callers.

    Raises `NonRedirectableError` when it was used before, has expired or is another app's.
    """
    waiting = PushedRequest.objects.filter(hash=fingerprint(reference), expires_at__gt=timezone.now())
    row = waiting.filter(client_id=client_id).first() if len(client_id) < 256 and "\0" not in client_id else None
    if row is None or not waiting.delete()[0]:
        raise NonRedirectableError("invalid_request_uri", EXPIRED)
    return Parameters.of(row.params)
