"""Chromium's own virtual authenticator: holds passkeys and answers for the finger."""

from __future__ import annotations

from playwright.sync_api import Page


class Device:
    """A passkey store and a finger on it."""

    def __init__(self, page: Page) -> None:
        self.devtools = page.context.new_cdp_session(page)
        self.devtools.send("WebAuthn.enable")
        self.number = ""

    def take_another(self) -> None:
        """A new one, which holds no passkey yet."""
        if self.number:
            self.devtools.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": self.number})
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        made = self.devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        self.number = made["authenticatorId"]
