"""Devices of a customer: an authenticator app, and a phone that creates passkeys (ES256, no attestation)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from allauth.mfa.totp.internal import auth as totp
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2.cose import ES256
from fido2.utils import sha256, websafe_decode, websafe_encode
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData

ORIGIN = "http://localhost:8000"
PRESENT, VERIFIED = 0x01, 0x04


def code_of(secret: str, later: int = 0) -> str:
    """Return the code that the app shows now, or `later` half-minutes from now."""
    return format_hotp_value(hotp_value(secret, int(totp.time.time()) // 30 + later))


@dataclass
class Phone:
    """A phone with one passkey, which answers as a browser would."""

    origin: str = ORIGIN
    host: str = "localhost"
    id: bytes = b"a passkey of sixteen bytes"
    verifies: bool = True
    handle: str = ""
    count: int = 0  # number of signatures; synchronised passkeys always send 0
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def make(self, options: dict) -> str:
        self.handle = options["user"]["id"]
        credential = AttestedCredentialData.create(
            b"\0" * 16, self.id, ES256.from_cryptography_key(self.key.public_key())
        )
        data = AuthenticatorData.create(sha256(self.host.encode()), self._flags | 0x40, self.count, credential)
        return self._answer(
            {
                "clientDataJSON": self._client_data("webauthn.create", options),
                "attestationObject": websafe_encode(AttestationObject.create("none", data, {})),
            }
        )

    def sign(self, options: dict) -> str:
        data = AuthenticatorData.create(sha256(self.host.encode()), self._flags, self.count)
        client_data = self._client_data("webauthn.get", options)
        signature = self.key.sign(bytes(data) + sha256(websafe_decode(client_data)), ec.ECDSA(hashes.SHA256()))
        return self._answer(
            {
                "clientDataJSON": client_data,
                "authenticatorData": websafe_encode(data),
                "signature": websafe_encode(signature),
                "userHandle": self.handle,
            }
        )

    @property
    def _flags(self) -> int:
        return PRESENT | (VERIFIED if self.verifies else 0)

    def _client_data(self, kind: str, options: dict) -> str:
        client_data = {"type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": False}
        return websafe_encode(json.dumps(client_data).encode())

    def _answer(self, response: dict) -> str:
        number = websafe_encode(self.id)
        extensions = {"credProps": {"rk": True}}
        return json.dumps(
            {
                "id": number,
                "rawId": number,
                "type": "public-key",
                "response": response,
                "clientExtensionResults": extensions,
            }
        )
