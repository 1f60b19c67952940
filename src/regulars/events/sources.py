"""Create and change sources of events and their write keys."""

from __future__ import annotations

from django.utils.text import slugify

from regulars.base.crypto import fingerprint, random_secret
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


def replace_key(slug: str, kind: str = "") -> str:
    """Replace the write key, and with `kind` make the source `public` or `server`. Returns the new key.

    Messages under the old key are refused: a key that pages have shown is no secret, and a secret is not for pages. Of a
    server's key only the fingerprint is kept. Raises `Invalid("unknown_source" | "unknown_kind")`.
    """
    source = find_source(slug)
    if kind and kind not in Source.Kind.values:
        raise Invalid("unknown_kind", "A source is public or server.", "kind")
    source.kind = kind or source.kind
    key = new_write_key()
    source.write_key = fingerprint(key) if source.kind == Source.Kind.SERVER else key
    source.save(update_fields=["write_key", "kind"])
    return key


def replace_secret(slug: str) -> str:
    """Make a new secret for `context.userHash`; hashes by the old one prove nothing any more. Returns it.

    Raises `Invalid("unknown_source")`.
    """
    source = find_source(slug)
    secret = random_secret()
    source.secret = secret
    source.save(update_fields=["secret"])
    return secret


def demand_proof(slug: str, on: bool) -> Source:
    """Set whether messages with a user id need a proof. Raises `Invalid("unknown_source")`."""
    source = find_source(slug)
    source.require_proof = on
    source.save(update_fields=["require_proof"])
    return source


def find_source(slug: str) -> Source:
    source = Source.objects.filter(slug=slug).first()
    if source is None:
        raise Invalid("unknown_source", f"No source of events is called {slug!r}.")
    return source
