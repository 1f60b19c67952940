"""Google customer match, through the Data Manager API (the Ads API accepts no new users since April 2026)."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from regulars.base.errors import Invalid
from regulars.base.plugins.fields import check_web_address

from .. import hashing
from ..calls import json_object, perform
from ..kind import DeletionRequest, DestinationKind, FieldUpdate, HttpCall, SegmentMessage, SendFailed, SettingField

SCOPE = "https://www.googleapis.com/auth/datamanager"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_DIGITS = re.compile(r"\d{1,20}", re.ASCII)


class GoogleAudience(DestinationKind):
    title = "Google customer match"
    help = "Adds hashed contact data of those in the segments to a Google Ads audience. It serves from 100 members on."
    fields = (
        SettingField("service_account", "Service account key", "The whole JSON file.", secret=True),
        SettingField("account_id", "Google Ads account", "Digits without dashes."),
        SettingField("audience_id", "Audience id", "Of a customer-list audience."),
        SettingField("base_url", "Address of the API", default="https://datamanager.googleapis.com"),
        SettingField("token_url", "Address for tokens", default="https://oauth2.googleapis.com/token"),
    )
    needs = ("email",)
    matches = ("phone_number", "given_name", "family_name", "country", "postal_code")
    default_mapping = ()
    is_idempotent = True
    latest_only = True
    can_remove = True
    can_update = True
    has_preview = True

    def check(self, settings: Mapping[str, str]) -> None:
        """`Invalid("bad_account" | "bad_audience" | "bad_url" | "bad_key")`."""
        if not _DIGITS.fullmatch(settings["account_id"]):
            raise Invalid("bad_account", "The account has digits only, no dashes.")
        if not _DIGITS.fullmatch(settings["audience_id"]):
            raise Invalid("bad_audience", "An audience id has digits only.")
        check_web_address(settings["base_url"], "The address of the API")
        check_web_address(settings["token_url"], "The address for tokens")
        _account(settings)

    def calls(self, message: SegmentMessage, settings: Mapping[str, str]) -> list[HttpCall]:
        """Return the call itself; the earlier one, for a token, has no personal data."""
        return [_members("ingest" if message.entered else "remove", message.match, settings, "{token}")]

    def send(self, message: SegmentMessage, settings: Mapping[str, str]) -> None:
        verb = "ingest" if message.entered else "remove"
        _accepted(_members(verb, message.match, settings, _token(settings)))

    def remove(self, request: DeletionRequest, settings: Mapping[str, str]) -> None:
        _accepted(_members("remove", request.match, settings, _token(settings)))

    def update(self, update: FieldUpdate, settings: Mapping[str, str]) -> None:
        """Remove the member as it was sent, and add it as it is now if it is in a segment."""
        token = _token(settings)
        _accepted(_members("remove", update.match, settings, token))
        if update.segments:
            _accepted(_members("ingest", update.new_match, settings, token))


def identifiers(match: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Google's `userIdentifiers`: e-mail, phone and names hashed; country and postal code as they are."""
    found: list[dict[str, Any]] = [{"emailAddress": hashing.sha256(hashing.google_email(match["email"]))}]
    phone = hashing.google_phone(match.get("phone_number", ""))
    if phone:
        found.append({"phoneNumber": hashing.sha256(phone)})
    parts = ("given_name", "family_name", "country", "postal_code")
    if all(match.get(part) for part in parts):
        address = {
            "givenName": hashing.sha256(hashing.name(match["given_name"])),
            "familyName": hashing.sha256(hashing.name(match["family_name"])),
            "regionCode": str(match["country"]).upper(),
            "postalCode": str(match["postal_code"]),
        }
        found.append({"address": address})
    return found


def _members(verb: str, match: Mapping[str, Any], settings: Mapping[str, str], token: str) -> HttpCall:
    account = {"accountType": "GOOGLE_ADS", "accountId": settings["account_id"]}
    payload: dict[str, Any] = {
        "destinations": [{"operatingAccount": account, "productDestinationId": settings["audience_id"]}],
        "audienceMembers": [{"userData": {"userIdentifiers": identifiers(match)}}],
        "encoding": "HEX",
    }
    if verb == "ingest":  # a message is composed only with consent to the destination's purpose
        payload["consent"] = {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"}
        payload["termsOfService"] = {"customerMatchTermsOfServiceStatus": "ACCEPTED"}
    url = f"{settings['base_url'].rstrip('/')}/v1/audienceMembers:{verb}"
    return HttpCall("POST", url, {"authorization": f"Bearer {token}"}, json=payload)


def _accepted(call: HttpCall) -> None:
    if not json_object(perform(call)).get("requestId"):
        raise SendFailed("bad_answer", "Google did not confirm with a request id.")


def _token(settings: Mapping[str, str]) -> str:
    """Request a token of one hour each time: no credential is stored."""
    email, key = _account(settings)
    now = int(time.time())
    claims = {"iss": email, "scope": SCOPE, "aud": settings["token_url"], "iat": now, "exp": now + 600}
    assertion = jwt.encode({"alg": "RS256", "typ": "JWT"}, claims, key)
    form = urlencode({"grant_type": GRANT, "assertion": assertion}).encode()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    payload = json_object(perform(HttpCall("POST", settings["token_url"], headers, content=form)))
    if not isinstance(payload.get("access_token"), str):
        raise SendFailed("bad_answer", "Google returned no token.")
    return str(payload["access_token"])


def _account(settings: Mapping[str, str]) -> tuple[str, RSAKey]:
    try:
        account = json.loads(settings["service_account"])
        return str(account["client_email"]), RSAKey.import_key(account["private_key"])
    except (ValueError, KeyError, TypeError, AttributeError, JoseError):
        raise Invalid("bad_key", "The service account key is not the JSON file from Google.") from None


google_audience = GoogleAudience()
