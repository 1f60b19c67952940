"""Any OpenID Connect provider: standard scopes, standard claims."""

from __future__ import annotations

from regulars.flows.arrive import Told

from .strategy import Piece, Raw, Strategy, claims, gender_of, mapping, text

PIECES = (
    Piece("address", "Your address", "So that we know which shop and which season is near you.", ("address",)),
    Piece("phone", "Your phone number", "So that we can reach you about your orders.", ("phone",), "serve"),
    Piece("gender", "Your gender", "So that we show you things in your cut first.", ("profile",)),
    Piece("birthday", "Your date of birth", "So that we show you what people of your age like.", ("profile",)),
)


def read(raw: Raw) -> list[Told]:
    info = mapping(raw.get("userinfo")) or mapping(raw.get("id_token"))
    place = mapping(info.get("address"))
    optional = [
        Told("gender", gender_of(info.get("gender")), "social", "gender"),
        Told("birthdate", text(info.get("birthdate")), "social", "birthday"),
        Told("phone_number", text(info.get("phone_number")), "social", "phone"),
        Told("city", text(place.get("locality")), "social", "address"),
        Told("postal_code", text(place.get("postal_code")), "social", "address"),
        Told("country", text(place.get("country")), "social", "address"),
    ]
    return claims(info) + [each for each in optional if each.value]


OIDC = Strategy("oidc", ("openid", "email", "profile"), PIECES, read, scoped_ids=True)
