"""A line in a chat channel, through an "incoming webhook" as Slack, Mattermost and Rocket.Chat take it."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from regulars.base import http
from regulars.base.errors import Invalid
from regulars.destinations.kind import Message, SendFailed, SettingField

COME_AGAIN = frozenset({408, 429})


class Chat:
    title = "Chat channel"
    help = "A line in a channel when a customer enters or leaves a segment. No traits are sent."
    # Whoever knows the address may write to the channel: the address itself is the secret.
    fields = (SettingField("url", "Address of the incoming webhook", secret=True),)
    needs: tuple[str, ...] = ()

    def check(self, settings: Mapping[str, str]) -> None:
        """`DomainError("bad_url")`."""
        try:
            is_web = urlsplit(settings["url"]).scheme in ("http", "https")
        except ValueError:
            is_web = False
        if not is_web:
            raise Invalid("bad_url", "The address of the incoming webhook is not a web address.")

    def send(self, message: Message, settings: Mapping[str, str]) -> None:
        try:
            answer = http.request("POST", settings["url"], json={"text": line(message)}, timeout=10)
        except http.RequestRefused as no:
            raise SendFailed(no.code, no.message, permanent=True) from None
        except http.RequestFailed as fault:
            raise SendFailed(fault.code, fault.message) from None
        if not 200 <= answer.status < 300:
            permanent = answer.status < 500 and answer.status not in COME_AGAIN
            raise SendFailed(f"http_{answer.status}", f"The chat answered {answer.status}.", permanent=permanent)


def line(message: Message) -> str:
    """What the channel reads. `<` and `&` are escaped: a segment's name must not mention everybody."""
    verb = "entered" if message.entered else "left"
    text = f"{message.user_id} {verb} {message.segment_name}"
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


chat = Chat()
