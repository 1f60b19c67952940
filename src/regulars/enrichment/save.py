"""Configure sources, and switch them on and off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction

from regulars.base.db.rows import insert_row, update_row
from regulars.base.errors import Conflict, Invalid
from regulars.base.jobs.queues import configure_queue, resume_queue
from regulars.base.plugins.fields import fill_settings, masked_settings
from regulars.consent.models import Purpose
from regulars.consent.purposes import get_purpose
from regulars.consent.uses import WHY_STOPPED
from regulars.profiles.models import Attribute

from .models import Lookup, SourceSetting
from .source import SOURCES, EnrichmentSource


@dataclass(frozen=True)
class SourceLimits:
    """Limits of the calls to a source; None: no limit (`fresh_days`: the source's own).

    `price` and `money_per_day` are in one currency.
    """

    calls_per_day: int | None = None
    calls_per_minute: int | None = None
    concurrency: int = 1
    price: Decimal = Decimal(0)
    money_per_day: Decimal | None = None
    fresh_days: int | None = None

    def check(self) -> None:
        """`Invalid("bad_limit")`, about the first one out of range."""
        for name, (least, most) in LIMITS.items():
            limit = getattr(self, name)
            if limit is not None and not least <= limit <= most:
                raise Invalid("bad_limit", f"This is a number from {least:,} to {most:,}.", name)


# Limit → (least, most): the range of the columns. To stop all calls, switch the source off.
LIMITS: dict[str, tuple[int, int]] = {
    "calls_per_day": (0, 1_000_000_000),
    "calls_per_minute": (1, 1_000_000),
    "concurrency": (1, 100),
    "price": (0, 100_000),
    "money_per_day": (0, 10_000_000),
    "fresh_days": (1, 3650),
}


@transaction.atomic
def save_source(
    key: str,
    settings: Mapping[str, str],
    *,
    enabled: bool | None = True,
    purpose: str = "",
    limits: SourceLimits | None = None,
) -> SourceSetting:
    """Check and save how a source is used; `purpose` empty: the one it declares. A secret left empty stays as it was,
    and so do limits that are None and a switch that is None.

    Cached failures are deleted: the change may have fixed them. Raises `DomainError`: `unknown_plugin`,
    `unknown_purpose`, `purpose_needs_consent`, `purpose_is_for_groups`, `unknown_setting`, `setting_missing`, `bad_limit`, `special_category`, `attribute_not_for_source`, or errors of the source's own check.
    """
    source = SOURCES[key]
    before = SourceSetting.objects.filter(key=key).first()
    complete = fill_settings(source.fields, settings, before.settings if before else None)
    source.check(complete)
    reason = get_purpose(purpose or source.purpose)
    on = bool(before and before.enabled) if enabled is None else enabled
    if on:
        gives = source.for_settings(complete).gives
        paths = dict(Attribute.objects.filter(key__in=gives).values_list("key", "metadata_path"))
        if closed := [key for key in gives if not source.may_give(key, paths.get(key, ""))]:
            raise Invalid(
                "attribute_not_for_source",
                f"{closed[0]!r} is proved, concluded or kept by an application: this source cannot fill it.",
                "take" if source.is_mapped else "",
            )
        # only the customer may provide a special category
        special = Attribute.objects.filter(key__in=gives, sensitivity=Attribute.Sensitivity.SPECIAL)
        if label := special.values_list("label", flat=True).first():
            raise Invalid(
                "special_category",
                f"{source.title} gives {label!r}, a special category that only the customer may provide.",
            )
    refuse_purpose(source, reason)
    Lookup.objects.filter(source_key=key).exclude(error="").delete()
    setting = before or SourceSetting(key=key)
    setting.enabled, setting.settings, setting.purpose = on, complete, reason
    if limits is not None:
        limits.check()
        for name, value in vars(limits).items():
            setattr(setting, name, value)
    if before:
        update_row(setting)
    else:
        insert_row(setting, Conflict("changed_meanwhile", f"{source.title} was saved meanwhile. Load its page again."))
    configure_queue(setting.queue, setting.concurrency)
    resume_queue(setting.queue)
    return setting


def refuse_purpose(source: EnrichmentSource, purpose: Purpose) -> None:
    """Raise `Invalid("purpose_needs_consent" | "purpose_is_for_groups")` where a source cannot be asked for a purpose."""
    if message := why_stopped(source, purpose):
        raise Invalid(source.why_not_for(purpose), message, "purpose")


def why_stopped(source: EnrichmentSource, purpose: Purpose) -> str:
    """Return the sentence why a source cannot be asked for a purpose; empty: it can."""
    code = source.why_not_for(purpose)
    if code == "purpose_needs_consent":
        return f"{source.title} receives personal data: that needs a purpose based on consent."
    return WHY_STOPPED[code] if code else ""


def purposes_for(source: EnrichmentSource) -> list[Purpose]:
    """Return the active purposes for which a source can be asked."""
    return [each for each in Purpose.objects.filter(active=True).order_by("key") if not source.why_not_for(each)]


def stopped_sources() -> list[SourceSetting]:
    """Return the sources that are on and are asked nothing, because their purpose allows no question outside."""
    enabled = SourceSetting.objects.filter(enabled=True).select_related("purpose").order_by("key")
    return [each for each in enabled if each.key in SOURCES and SOURCES[each.key].why_not_for(each.purpose)]


@transaction.atomic
def switch_source(key: str, on: bool) -> SourceSetting:
    """Switch a source on or off. Switching on needs complete settings. Raises what `save_source` raises."""
    before = SourceSetting.objects.filter(key=key).first()
    if on or before is None:
        return save_source(key, {}, enabled=on, purpose=before.purpose_id if before else "")
    before.enabled = False
    before.save(update_fields=["enabled"])
    return before


def shown_settings(setting: SourceSetting) -> dict[str, str]:
    """Return setting → text for pages and the API: secrets are dots."""
    return masked_settings(SOURCES[setting.key].fields, setting.settings)
