"""Slack: a line in a channel. No trait is sent."""

from __future__ import annotations

from collections.abc import Mapping

from regulars.base.plugins.fields import check_web_address

from ..calls import perform
from ..kind import DeletionRequest, DestinationKind, HttpCall, SegmentMessage, SettingField


class Slack(DestinationKind):
    title = "Slack"
    help = "A line in a channel when a customer enters or leaves a segment."
    # Anyone who knows the address can write to the channel: the address itself is the secret.
    fields = (SettingField("url", "Address of the incoming webhook", secret=True),)
    default_mapping = ()
    can_remove = True
    confirms_erasure = confirms_removal = False  # people in the channel read it
    has_preview = True

    def check(self, settings: Mapping[str, str]) -> None:
        """`Invalid("bad_url")`."""
        check_web_address(settings["url"], "The address of the incoming webhook")

    def calls(self, message: SegmentMessage, settings: Mapping[str, str]) -> list[HttpCall]:
        verb = "entered" if message.entered else "left"
        return [_line(f"{message.user_id} {verb} {message.segment_name}", settings)]

    def send(self, message: SegmentMessage, settings: Mapping[str, str]) -> None:
        for call in self.calls(message, settings):
            perform(call)

    def remove(self, request: DeletionRequest, settings: Mapping[str, str]) -> None:
        """Post a request: a webhook cannot delete lines, so people in the channel are asked to."""
        wish = "asked for erasure: please delete their lines" if request.erase else "withdrew consent"
        perform(_line(f"{request.user_id} {wish}", settings))


def _line(text: str, settings: Mapping[str, str]) -> HttpCall:
    """Escape `<` and `&`: a segment's name must not mention all members of the channel."""
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return HttpCall("POST", settings["url"], json={"text": safe})


slack = Slack()
