"""/oauth/device/code: a device without a keyboard asks for the codes that begin its login (RFC 8628)."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from . import devices, protocol
from .asking import find_audience, scopes_of
from .cors import open_to_scripts
from .errors import OAuthError
from .grants import DEVICE_CODE
from .token import answer_json, read_params


@open_to_scripts("POST")
def device_code(request: HttpRequest) -> HttpResponse:
    """A new pair of codes for a device."""
    try:
        params = read_params(request)
        client = protocol.authenticate(params, request.headers)
        if DEVICE_CODE not in client.grant_types:
            raise OAuthError("unauthorized_client", f"Grant type '{DEVICE_CODE}' not allowed for the client.")
        api = find_audience(params.get("audience", ""))
    except OAuthError as refusal:
        return answer_json(protocol.no(refusal))
    scopes = scopes_of(params.get("scope", ""), api, client)
    code, user_code = devices.begin(client, {"scope": " ".join(scopes), "audience": api.identifier if api else ""})
    page = f"{settings.ISSUER}activate"
    body = {
        "device_code": code,
        "user_code": user_code,
        "verification_uri": page,
        "verification_uri_complete": f"{page}?user_code={user_code}",
        "expires_in": devices.LIVES,
        "interval": devices.INTERVAL,
    }
    return answer_json(protocol.Answer(200, body, {}))
