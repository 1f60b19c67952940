"""Switch sources on and off, and say how to reach them."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import transaction

from regulars.base.kit.errors import Refused
from regulars.base.kit.fields import filled, shown
from regulars.consent.models import Purpose
from regulars.consent.purposes import get_purpose

from .models import Lookup, SourceSetting
from .source import SOURCES


@transaction.atomic
def save_source(key: str, settings: Mapping[str, str], *, enabled: bool = True, purpose: str = "") -> SourceSetting:
    """Check and save how a source is used; `purpose` empty: the one it declares. A secret left empty stays as it was.

    Failures that were kept are forgotten: they may be what was mended. Raises `Refused`: `unknown_plugin`,
    `unknown_purpose`, `purpose_needs_consent`, `unknown_setting`, `setting_missing`, or what the source says.
    """
    source = SOURCES[key]
    before = SourceSetting.objects.filter(key=key).first()
    complete = filled(source.fields, settings, before.settings if before else None)
    source.check(complete)
    reason = get_purpose(purpose or source.purpose)
    if not source.is_about_areas and reason.basis != Purpose.Basis.CONSENT:
        raise Refused("purpose_needs_consent", f"{source.title} is told who she is: that needs her yes.", "purpose")
    Lookup.objects.filter(source_key=key).exclude(error="").delete()
    setting = before or SourceSetting(key=key)
    setting.enabled, setting.settings, setting.purpose = enabled, complete, reason
    setting.save()
    return setting


@transaction.atomic
def switch_source(key: str, on: bool) -> SourceSetting:
    """Ask it from now on, or no more. On: what is kept must be complete. Raises what `save_source` raises."""
    before = SourceSetting.objects.filter(key=key).first()
    if on or before is None:
        return save_source(key, {}, enabled=on, purpose=before.purpose_id if before else "")
    before.enabled = False
    before.save(update_fields=["enabled"])
    return before


def shown_settings(setting: SourceSetting) -> dict[str, str]:
    """Setting → text for pages and the API: secrets are dots."""
    return shown(SOURCES[setting.key].fields, setting.settings)
