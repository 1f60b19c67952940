"""Slack: a line in a channel. No trait of hers is told."""

from __future__ import annotations

from collections.abc import Mapping

from ..calls import check_url, perform
from ..kind import Call, Message, Removal, SettingField


class Slack:
    title = "Slack"
    help = "A line in a channel when a customer enters or leaves a segment."
    # Whoever knows the address may write to the channel: the address itself is the secret.
    fields = (SettingField("url", "Address of the incoming webhook", secret=True),)
    needs: tuple[str, ...] = ()
    default_mapping: tuple[tuple[str, str, str], ...] = ()

    def check(self, settings: Mapping[str, str]) -> None:
        """`Invalid("bad_url")`."""
        check_url(settings["url"], "The address of the incoming webhook")

    def calls(self, message: Message, settings: Mapping[str, str]) -> list[Call]:
        verb = "entered" if message.entered else "left"
        return [_line(f"{message.user_id} {verb} {message.segment_name}", settings)]

    def send(self, message: Message, settings: Mapping[str, str]) -> None:
        for call in self.calls(message, settings):
            perform(call)

    def remove(self, removal: Removal, settings: Mapping[str, str]) -> None:
        """Lines cannot be taken back by a webhook: the channel is asked to."""
        wish = "asked to be forgotten: please delete her lines" if removal.erase else "withdrew her consent"
        perform(_line(f"{removal.user_id} {wish}", settings))


def _line(text: str, settings: Mapping[str, str]) -> Call:
    """`<` and `&` are escaped: a segment's name must not mention everybody."""
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return Call("POST", settings["url"], json={"text": safe})


slack = Slack()
