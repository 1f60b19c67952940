"""Chromium's virtual authenticator: holds passkeys and confirms the user."""

from __future__ import annotations

from playwright.sync_api import Page


class Device:
    """A virtual authenticator that confirms every request."""

    def __init__(self, page: Page) -> None:
        self.devtools = page.context.new_cdp_session(page)
        self.devtools.send("WebAuthn.enable")
        self.number = ""

    def take_another(self) -> None:
        """Replace the authenticator by a new one without passkeys."""
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
