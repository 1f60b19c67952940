"""Create and change sources of events and their write keys."""

from __future__ import annotations

from django.utils.text import slugify

from regulars.base.errors import Invalid

from .models import Source, new_write_key
from .own_events import OWN_SOURCE


def make_source(name: str) -> Source:
    """Create a source with a write key. Raises `Invalid("bad_name" | "name_taken")`."""
    name, slug = name.strip(), slugify(name)[:50]
    if not slug or len(name) > 100:
        raise Invalid("bad_name", "Give it a name with letters or digits, of at most 100 characters.", "name")
    if slug == OWN_SOURCE:
        raise Invalid("name_taken", f"{OWN_SOURCE!r} is the source of the events that Regulars records itself.", "name")
    source, made = Source.objects.get_or_create(slug=slug, defaults={"name": name})
    if not made:
        raise Invalid("name_taken", f"There is a source called {slug!r} already.", "name")
    return source


def switch_source(slug: str, on: bool) -> Source:
    """Enable or disable a source. Raises `Invalid("unknown_source")`."""
    source = find_source(slug)
    source.enabled = on
    source.save(update_fields=["enabled"])
    return source


def replace_key(slug: str) -> Source:
    """Replace the write key; messages under the old one are refused. Raises `Invalid("unknown_source")`."""
    source = find_source(slug)
    source.write_key = new_write_key()
    source.save(update_fields=["write_key"])
    return source


def find_source(slug: str) -> Source:
    source = Source.objects.filter(slug=slug).first()
    if source is None:
        raise Invalid("unknown_source", f"No source of events is called {slug!r}.")
    return source
