"""A line in a chat channel, through an "incoming webhook" as Slack, Mattermost and Rocket.Chat take it."""

from __future__ import annotations

from collections.abc import Mapping

from regulars.plugins import DestinationKind, SegmentMessage, SendFailed, SettingField, check_web_address, http

RETRYABLE = frozenset({408, 429})


class Chat(DestinationKind):
    title = "Chat channel"
    help = "A line in a channel when a customer enters or leaves a segment. No traits are sent."
    # Anyone who knows the address can write to the channel: the address itself is the secret.
    fields = (SettingField("url", "Address of the incoming webhook", secret=True),)
    default_mapping = ()

    def check(self, settings: Mapping[str, str]) -> None:
        """`Invalid("bad_url")`."""
        check_web_address(settings["url"], "The address of the incoming webhook")

    def send(self, message: SegmentMessage, settings: Mapping[str, str]) -> None:
        try:
            answer = http.request("POST", settings["url"], json={"text": line(message)}, timeout=10)
        except http.RequestRefused as refused:
            raise SendFailed(refused.code, refused.message, permanent=True) from None
        except http.RequestFailed as fault:
            raise SendFailed(fault.code, fault.message) from None
        if not 200 <= answer.status < 300:
            permanent = answer.status < 500 and answer.status not in RETRYABLE
            raise SendFailed(f"http_{answer.status}", f"The chat answered {answer.status}.", permanent=permanent)


def line(message: SegmentMessage) -> str:
    """Return the line. `<` and `&` are escaped: a segment's name must not mention all members of the channel."""
    verb = "entered" if message.entered else "left"
    text = f"{message.user_id} {verb} {message.segment_name}"
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


chat = Chat()
