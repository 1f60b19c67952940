"""Create, change and switch destinations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.db import transaction
from django.utils.text import slugify

from regulars.base.db.rows import insert_row, update_row
from regulars.base.errors import Conflict, Invalid
from regulars.base.jobs.queues import configure_queue
from regulars.base.plugins.fields import fill_settings, masked_settings
from regulars.consent.uses import purpose_for_rows, refuse, why_no_row

from .circuit_breaker import record_success
from .kind import KINDS, DestinationKind, maps_fields
from .mapping import Lines, checked
from .models import Destination
from .versions import version_of

LONGEST_NAME = 128


@transaction.atomic
def save_destination(
    name: str,
    kind: str,
    settings: Mapping[str, str],
    *,
    purpose: str,
    segment_slugs: Sequence[str],
    enabled: bool | None = None,
    destination: Destination | None = None,
    mapping: Sequence[Mapping[str, str]] | None = None,
) -> Destination:
    """Check and save a new destination, or change `destination`; a secret that is left empty stays as it was.

    `enabled` None: on where it is new, else as it is.
    `mapping`: `[{"attribute", "field", "transform"}]` (see `mapping.TRANSFORMS`); empty for what the kind maps itself,
    None to leave it. A changed destination may be tried at once: the circuit is closed. Raises `DomainError`:
    `name_missing`, `name_too_long`, `reserved_name`, `name_taken`, `deleted_meanwhile`, `unknown_plugin`, `unknown_purpose`, `purpose_serves_account`, `purpose_is_for_groups`, `unknown_setting`, `setting_missing`,
    `kind_is_fixed`, `bad_field`, `field_twice`, `unknown_transform`, `bad_constant`, `nothing_to_map`, or errors of the kind's own check.
    """
    if destination is not None and destination.kind != kind:
        raise Invalid("kind_is_fixed", "A destination keeps its kind; make another one.")
    if not name.strip() or len(name.strip()) > LONGEST_NAME:
        wrong = "name_too_long" if name.strip() else "name_missing"
        raise Invalid(wrong, f"Give the destination a name of at most {LONGEST_NAME} characters.", "name")
    plugin = KINDS[kind]
    complete = fill_settings(plugin.fields, settings, destination.settings if destination else None)
    plugin.check(complete)
    lines = None if mapping is None else _lines(plugin, mapping)
    exists = destination is not None
    taken = Conflict("name_taken", f"There is a destination called {slugify(name)[:64]!r} already.", "name")
    if destination is None:
        slug = slugify(name)[:64]
        if not slug:
            raise Invalid("name_missing", "Give the destination a name with letters or digits.", "name")
        if slug == "new":
            raise Invalid("reserved_name", "No destination can be called 'new'. Give it another name.", "name")
        if Destination.objects.filter(slug=slug).exists():
            raise taken
        destination = Destination(slug=slug, kind=kind)
    destination.name, destination.settings, destination.purpose = name.strip(), complete, purpose_for_rows(purpose)
    destination.segment_slugs = list(dict.fromkeys(segment_slugs))
    destination.enabled = destination.enabled if enabled is None else enabled
    destination.mapping = destination.mapping if lines is None else lines
    if exists:
        update_row(destination)
    else:
        insert_row(destination, taken)
    version_of(destination)
    configure_queue(destination.queue, plugin.concurrency)
    record_success(destination)
    return destination


def save_mapping(destination: Destination, mapping: Sequence[Mapping[str, str]]) -> Destination:
    """Save which attributes are sent under which name; empty: the kind's own mapping.

    Raises `DomainError`: `unknown_plugin`, `bad_field`, `field_twice`, `unknown_transform`, `bad_constant`, `nothing_to_map`.
    """
    destination.mapping = _lines(KINDS[destination.kind], mapping)
    destination.save(update_fields=["mapping"])
    return destination


def switch_destination(slug: str, on: bool) -> Destination:
    """Switch a destination on or off.

    Raises `Invalid("unknown_destination")`, and `Invalid("purpose_serves_account" | "purpose_is_for_groups")` for one that is stopped.
    """
    destination = Destination.objects.select_related("purpose").filter(slug=slug).first()
    if destination is None:
        raise Invalid("unknown_destination", f"There is no destination called {slug!r}.")
    if on:
        refuse(why_no_row(destination.purpose))
    destination.enabled = on
    destination.save(update_fields=["enabled"])
    return destination


def shown_settings(destination: Destination) -> dict[str, str]:
    """Return setting → text for pages and the API: secrets are dots."""
    return masked_settings(KINDS[destination.kind].fields, destination.settings)


def _lines(plugin: DestinationKind, mapping: Sequence[Mapping[str, str]]) -> Lines:
    lines = checked(mapping)
    if lines and not maps_fields(plugin):
        raise Invalid("nothing_to_map", f"{plugin.title} has no fields to fill.")
    return lines
