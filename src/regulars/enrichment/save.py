"""Switch sources on and off, and say how to reach them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction

from regulars.base.errors import Invalid
from regulars.base.jobs.queues import configure_queue, resume_queue
from regulars.base.plugins.fields import fill_settings, masked_settings
from regulars.consent.models import Purpose
from regulars.consent.purposes import get_purpose
from regulars.profiles.models import Attribute

from .models import Lookup, SourceSetting
from .source import SOURCES, EnrichmentSource, is_local


@dataclass(frozen=True)
class Limits:
    """How much and how often a source may be asked; None: without limit (`fresh_days`: what the source declares).

    `price` and `money_per_day` are in one currency.
    """

    calls_per_day: int | None = None
    calls_per_minute: int | None = None
    at_a_time: int = 1
    price: Decimal = Decimal(0)
    money_per_day: Decimal | None = None
    fresh_days: int | None = None

    def check(self) -> None:
        """`Invalid("bad_limit")`, about the first that cannot be."""
        for name, (least, most) in LIMITS.items():
            limit = getattr(self, name)
            if limit is not None and not least <= limit <= most:
                raise Invalid("bad_limit", f"This is a number from {least:,} to {most:,}.", name)


# Limit → (least, most): what the columns hold. A source that may not be asked at all is switched off instead.
LIMITS: dict[str, tuple[int, int]] = {
    "calls_per_day": (0, 1_000_000_000),
    "calls_per_minute": (1, 1_000_000),
    "at_a_time": (1, 100),
    "price": (0, 100_000),
    "money_per_day": (0, 10_000_000),
    "fresh_days": (1, 3650),
}


@transaction.atomic
def save_source(
    key: str, settings: Mapping[str, str], *, enabled: bool = True, purpose: str = "", limits: Limits | None = None
) -> SourceSetting:
    """Check and save how a source is used; `purpose` empty: the one it declares. A secret left empty stays as it was,
    and so do limits that are None.

    Failures that were kept are forgotten: they may be what was mended. Raises `DomainError`: `unknown_plugin`,
    `unknown_purpose`, `purpose_needs_consent`, `unknown_setting`, `setting_missing`, `bad_limit`, `special_category`, or what the source says.
    """
    source = SOURCES[key]
    before = SourceSetting.objects.filter(key=key).first()
    complete = fill_settings(source.fields, settings, before.settings if before else None)
    source.check(complete)
    reason = get_purpose(purpose or source.purpose)
    if enabled:
        _refuse_special(source)
    if not (source.is_about_areas or is_local(source)) and reason.basis != Purpose.Basis.CONSENT:
        raise Invalid("purpose_needs_consent", f"{source.title} is told who she is: that needs her yes.", "purpose")
    Lookup.objects.filter(source_key=key).exclude(error="").delete()
    setting = before or SourceSetting(key=key)
    setting.enabled, setting.settings, setting.purpose = enabled, complete, reason
    if limits is not None:
        limits.check()
        for name, value in vars(limits).items():
            setattr(setting, name, value)
    setting.save()
    configure_queue(setting.queue, setting.at_a_time)
    resume_queue(setting.queue)
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


def _refuse_special(source: EnrichmentSource) -> None:
    """Nobody but she tells something of a special category: a source that would is not asked at all."""
    special = Attribute.objects.filter(key__in=source.gives, sensitivity=Attribute.Sensitivity.SPECIAL)
    if label := special.values_list("label", flat=True).first():
        raise Invalid("special_category", f"{source.title} tells {label!r}: that is special, and only she may tell it.")


def shown_settings(setting: SourceSetting) -> dict[str, str]:
    """Setting → text for pages and the API: secrets are dots."""
    return masked_settings(SOURCES[setting.key].fields, setting.settings)
