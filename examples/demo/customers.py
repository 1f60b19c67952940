"""The invented customers: claims, connections, consent decisions and answers. Plain values, no database."""

from __future__ import annotations

import datetime as dt
import random
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field

from .countries import COUNTRIES, Country

DAYS_OF_HISTORY = 60
CATEGORIES = ("jackets", "shirts", "boots", "knitwear", "bags")
# The favourite category of women and men in this shop, in percent.
TASTES = {"female": (34, 18, 14, 20, 14), "male": (26, 30, 24, 12, 8), "other": (25, 20, 20, 20, 15)}

# How customers signed up: with a social network, with a password, or by an import of the old newsletter list.
GOOGLE, PASSWORD, NEWSLETTER = "google-oauth2", "auth0", "external"
CONNECTION_SHARES = {GOOGLE: 46, PASSWORD: 34, NEWSLETTER: 20}

# The chance (percent) of each claim at sign-up, by connection.
CLAIM_SHARES = {
    GOOGLE: {
        "email": 99,
        "email_verified": 99,
        "name": 97,
        "given_name": 97,
        "family_name": 97,
        "locale": 60,
        "gender": 44,
        "birthdate": 60,
        "city": 26,
        "postal_code": 26,
        "country": 30,
    },
    PASSWORD: {"email": 100, "given_name": 35, "locale": 90},
    NEWSLETTER: {"email": 100, "given_name": 60, "family_name": 45, "country": 20},
}
# What Google's customers may tick before they go there, by the key of the requested claim.
REQUESTED_CLAIMS = {"gender": ("gender",), "birthday": ("birthdate",), "address": ("city", "postal_code", "country")}
OPTIONAL = frozenset(attribute for attributes in REQUESTED_CLAIMS.values() for attribute in attributes)

# The chance (percent) of each decision; the rest to 100 was never asked or never answered.
DECISION_SHARES = {
    "personalise": {"given": 82, "refused": 8},
    "message": {"given": 41, "refused": 22},
    "enrich": {"given": 18, "refused": 12},
    "share": {"given": 4, "refused": 31},
    "measure": {"objected": 2},
}
WITHDRAWS_LATER = 4  # percent of given consents
ANSWER_SHARES = {"looking_for": 38, "buys_for": 21, "age_group": 17, "shoe_size": 12, "country": 15}  # percent


@dataclass(frozen=True)
class Decision:
    """One decision. `pieces` are the attributes that it is about; none: the whole purpose. `asked_by`: claim or question."""

    purpose: str
    action: str
    at: dt.datetime
    method: str
    pieces: tuple[str, ...] = ()
    asked_by: str = ""


@dataclass(frozen=True)
class Answer:
    """The outcome of one question. `value` is None when the customer skipped it."""

    question: str
    value: str | None
    at: dt.datetime


@dataclass(frozen=True)
class Customer:
    """One customer. `claims` are those at sign-up, `visits` the number of visits in sixty days."""

    number: int
    connection: str
    provider_user_id: str
    joined: dt.datetime
    claims: dict[str, str | bool]
    decisions: list[Decision]
    taste: str
    visits: int
    answers: list[Answer] = field(default_factory=list)
    income: int | None = None  # the median of the area, from enrichment


def customers(count: int, now: dt.datetime, seed: str = "Harbour & Pine") -> Iterator[Customer]:
    """Yield the same customers for the same seed and count; only the dates follow `now`."""
    rng = random.Random(seed)  # noqa: S311 - invents people, keeps no secret
    for number in range(1, count + 1):
        yield _customer(number, rng, now)


def _customer(number: int, rng: random.Random, now: dt.datetime) -> Customer:
    country = rng.choices(COUNTRIES, [each.share for each in COUNTRIES])[0]
    gender = rng.choices(("female", "male", "other"), (61, 36, 3))[0]
    connection = rng.choices(list(CONNECTION_SHARES), list(CONNECTION_SHARES.values()))[0]
    # More sign-ups lately: the shop is growing.
    joined = now - dt.timedelta(days=540 * rng.random() ** 1.7 + 0.1)
    claims = _provided_claims(_all_claims(number, country, gender, rng, now), connection, rng)
    decisions = _decisions(connection, joined, rng, now)
    if any(each.purpose == "personalise" and each.action == "refused" for each in decisions):
        claims = {key: value for key, value in claims.items() if key not in OPTIONAL}
    taste = rng.choices(CATEGORIES, TASTES[gender])[0]
    answers = _answers(connection, taste, country, joined, rng, now)
    decisions += _decisions_on_pieces(connection, claims, answers, joined)
    return Customer(
        number=number,
        connection=connection,
        provider_user_id=_provider_user_id(connection, number, rng),
        joined=joined,
        claims=claims,
        decisions=sorted(decisions, key=lambda decision: decision.at),
        taste=taste,
        visits=_visits(connection, rng),
        answers=answers,
        income=_income(claims, rng),
    )


def _all_claims(
    number: int, country: Country, gender: str, rng: random.Random, now: dt.datetime
) -> dict[str, str | bool]:
    """Return every claim that this customer could provide."""
    given = rng.choice({"female": country.women, "male": country.men}.get(gender, country.women + country.men))
    family = rng.choice(country.families)
    city, postal_code = rng.choice(country.towns)
    age = min(max(rng.gauss(35, 11), 18.5), 78)
    return {
        "email": f"{_plain(given)}.{_plain(family)}.{number}@example.{rng.choice(('com', 'org', 'net'))}",
        "email_verified": True,
        "name": f"{given} {family}",
        "given_name": given,
        "family_name": family,
        "locale": country.locale,
        "gender": gender,
        "birthdate": (now - dt.timedelta(days=age * 365.25)).date().isoformat(),
        "city": city,
        "postal_code": postal_code,
        "country": country.code,
    }


def _provided_claims(everything: dict[str, str | bool], connection: str, rng: random.Random) -> dict[str, str | bool]:
    chances = CLAIM_SHARES[connection]
    return {key: value for key, value in everything.items() if rng.uniform(0, 100) < chances.get(key, 0)}


def _decisions(connection: str, joined: dt.datetime, rng: random.Random, now: dt.datetime) -> list[Decision]:
    if connection == NEWSLETTER:
        return [Decision("message", "imported", joined, "import")] if rng.random() < 0.8 else []
    made = []
    for purpose, chances in DECISION_SHARES.items():
        action = _one_of(chances, rng)
        if action:
            made.append(Decision(purpose, action, joined, "profile"))
        if action == "given" and rng.uniform(0, 100) < WITHDRAWS_LATER:
            made.append(Decision(purpose, "withdrawn", joined + (now - joined) * rng.random(), "profile"))
    return made


def _decisions_on_pieces(
    connection: str, claims: dict[str, str | bool], answers: list[Answer], joined: dt.datetime
) -> list[Decision]:
    """Return the consent that each shared claim and each answer gives, to the use of that piece alone."""
    requested = REQUESTED_CLAIMS.items() if connection == GOOGLE else ()
    shared = [
        Decision("personalise", "given", joined, "login", attributes, claim)
        for claim, attributes in requested
        if claims.keys() & set(attributes)
    ]
    return shared + [
        Decision("personalise", "given", answer.at, "question", (answer.question,), answer.question)
        for answer in answers
        if answer.value is not None
    ]


def _answers(
    connection: str, taste: str, country: Country, joined: dt.datetime, rng: random.Random, now: dt.datetime
) -> list[Answer]:
    """Return one answer a visit, days apart; about one question in three is skipped."""
    if connection == NEWSLETTER:
        return []
    truths = {
        "looking_for": taste,
        "buys_for": rng.choices(("myself", "partner", "children"), (70, 20, 10))[0],
        "age_group": rng.choices(("18-24", "25-34", "35-44", "45-54", "55+"), (17, 35, 25, 14, 9))[0],
        "shoe_size": str(rng.choice((37, 38, 39, 40, 41, 42, 43, 44))),
        "country": country.code,
    }
    asked = [key for key, chance in ANSWER_SHARES.items() if rng.uniform(0, 100) < chance * 1.5]
    since = max(joined, now - dt.timedelta(days=DAYS_OF_HISTORY))
    moments = sorted(since + (now - since) * rng.random() for _ in asked)
    return [
        Answer(key, truths[key] if rng.random() < 2 / 3 else None, at) for key, at in zip(asked, moments, strict=True)
    ]


def _income(claims: dict[str, str | bool], rng: random.Random) -> int | None:
    if claims.get("country") != "US" or "postal_code" not in claims:
        return None
    return round(rng.gauss(860, 220)) * 100 if rng.random() < 0.7 else None


def _visits(connection: str, rng: random.Random) -> int:
    """Draw the number of visits in sixty days: most customers come once or never, a few every other day."""
    mean = {GOOGLE: 5.8, PASSWORD: 5.0, NEWSLETTER: 0.0}[connection]
    return min(int(rng.paretovariate(1.6) * mean / 2.67), 30) if mean else 0


def _provider_user_id(connection: str, number: int, rng: random.Random) -> str:
    match connection:
        case "google-oauth2":
            return str(10**20 + rng.randrange(10**19))
        case "auth0":
            return f"{rng.getrandbits(96):024x}"
    return f"newsletter-{number:05d}"


def _one_of(chances: dict[str, int], rng: random.Random) -> str:
    roll = rng.uniform(0, 100)
    for action, chance in chances.items():
        if roll < chance:
            return action
        roll -= chance
    return ""


def _plain(name: str) -> str:
    """`Schäfer` → `schafer`: an address that every mail system takes."""
    return "".join(
        letter for letter in unicodedata.normalize("NFKD", name.lower()) if letter.isascii() and letter.isalpha()
    )
