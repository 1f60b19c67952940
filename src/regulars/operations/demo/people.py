"""The five thousand: who they are, how they came, what they told us and what they allowed. Plain values, no database."""

from __future__ import annotations

import datetime as dt
import random
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field

from .places import COUNTRIES, Country

DAYS_OF_HISTORY = 60
CATEGORIES = ("jackets", "shirts", "boots", "knitwear", "bags")
# What women and men of this shop mostly look at; everybody looks at everything now and then.
TASTES = {"female": (34, 18, 14, 20, 14), "male": (26, 30, 24, 12, 8), "other": (25, 20, 20, 20, 15)}

# How customers came: by a social network, with a password, or with the old newsletter list.
GOOGLE, PASSWORD, NEWSLETTER = "google-oauth2", "auth0", "external"
WAYS = {GOOGLE: 46, PASSWORD: 34, NEWSLETTER: 20}

# The chance (percent) that somebody who came this way told us this when she came.
TELLS = {
    GOOGLE: {
        "email": 99,
        "email_verified": 99,
        "name": 97,
        "given_name": 97,
        "family_name": 97,
        "locale": 60,
        "gender": 44,
        "birthdate": 38,
        "city": 26,
        "postal_code": 26,
        "country": 30,
    },
    PASSWORD: {"email": 100, "given_name": 35, "locale": 90},
    NEWSLETTER: {"email": 100, "given_name": 60, "family_name": 45, "country": 20},
}
OPTIONAL = frozenset({"gender", "birthdate", "city", "postal_code", "country"})

# The chance (percent) of each decision; what is missing to 100 was never asked or never answered.
DECIDES = {
    "personalise": {"given": 52, "refused": 14},
    "message": {"given": 41, "refused": 22},
    "enrich": {"given": 18, "refused": 12},
    "share": {"given": 4, "refused": 31},
    "measure": {"objected": 2},
}
CHANGES_HER_MIND = 4  # percent of those who said yes took it back later
ANSWERS = {"looking_for": 38, "buys_for": 21, "age_band": 17, "shoe_size": 12, "country": 15}  # percent


@dataclass(frozen=True)
class Decision:
    purpose: str
    action: str
    at: dt.datetime


@dataclass(frozen=True)
class Answer:
    """What she did with a question: `value` is None when she passed."""

    question: str
    value: str | None
    at: dt.datetime


@dataclass(frozen=True)
class Customer:
    """`told` is what she (or her provider, or the old list) said when she came; `eagerness` her visits in sixty days."""

    number: int
    way: str
    id_there: str
    joined: dt.datetime
    told: dict[str, str | bool]
    decisions: list[Decision]
    taste: str
    eagerness: int
    answers: list[Answer] = field(default_factory=list)
    income: int | None = None  # the median of her area, looked up


def customers(count: int, now: dt.datetime, seed: str = "Harbour & Pine") -> Iterator[Customer]:
    """The same people for the same seed and count; only the dates follow `now`."""
    dice = random.Random(seed)  # noqa: S311 - invents people, keeps no secret
    for number in range(1, count + 1):
        yield _customer(number, dice, now)


def _customer(number: int, dice: random.Random, now: dt.datetime) -> Customer:
    country = dice.choices(COUNTRIES, [each.share for each in COUNTRIES])[0]
    gender = dice.choices(("female", "male", "other"), (61, 36, 3))[0]
    way = dice.choices(list(WAYS), list(WAYS.values()))[0]
    # More of them came lately: the shop is growing.
    joined = now - dt.timedelta(days=540 * dice.random() ** 1.7 + 0.1)
    told = _told(_everything(number, country, gender, dice, now), way, dice)
    decisions = _decisions(way, joined, dice, now)
    taste = dice.choices(CATEGORIES, TASTES[gender])[0]
    return Customer(
        number=number,
        way=way,
        id_there=_id_there(way, number, dice),
        joined=joined,
        told=told,
        decisions=decisions,
        taste=taste,
        eagerness=_eagerness(way, dice),
        answers=_answers(way, taste, country, joined, dice, now),
        income=_income(told, dice),
    )


def _everything(
    number: int, country: Country, gender: str, dice: random.Random, now: dt.datetime
) -> dict[str, str | bool]:
    """What somebody could tell if she told everything."""
    given = dice.choice({"female": country.women, "male": country.men}.get(gender, country.women + country.men))
    family = dice.choice(country.families)
    city, postal_code = dice.choice(country.towns)
    age = min(max(dice.gauss(35, 11), 18.5), 78)
    return {
        "email": f"{_plain(given)}.{_plain(family)}.{number}@example.{dice.choice(('com', 'org', 'net'))}",
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


def _told(everything: dict[str, str | bool], way: str, dice: random.Random) -> dict[str, str | bool]:
    chances = TELLS[way]
    return {key: value for key, value in everything.items() if dice.uniform(0, 100) < chances.get(key, 0)}


def _decisions(way: str, joined: dt.datetime, dice: random.Random, now: dt.datetime) -> list[Decision]:
    if way == NEWSLETTER:
        return [Decision("message", "imported", joined)] if dice.random() < 0.8 else []
    made = []
    for purpose, chances in DECIDES.items():
        action = _one_of(chances, dice)
        if action:
            made.append(Decision(purpose, action, joined))
        if action == "given" and dice.uniform(0, 100) < CHANGES_HER_MIND:
            made.append(Decision(purpose, "withdrawn", joined + (now - joined) * dice.random()))
    return sorted(made, key=lambda decision: decision.at)


def _answers(
    way: str, taste: str, country: Country, joined: dt.datetime, dice: random.Random, now: dt.datetime
) -> list[Answer]:
    """One question a visit, days apart; about one in three is passed."""
    if way == NEWSLETTER:
        return []
    truths = {
        "looking_for": taste,
        "buys_for": dice.choices(("myself", "partner", "children"), (70, 20, 10))[0],
        "age_band": dice.choices(("18-24", "25-34", "35-44", "45-54", "55+"), (17, 35, 25, 14, 9))[0],
        "shoe_size": str(dice.choice((37, 38, 39, 40, 41, 42, 43, 44))),
        "country": country.code,
    }
    asked = [key for key, chance in ANSWERS.items() if dice.uniform(0, 100) < chance * 1.5]
    since = max(joined, now - dt.timedelta(days=DAYS_OF_HISTORY))
    moments = sorted(since + (now - since) * dice.random() for _ in asked)
    return [
        Answer(key, truths[key] if dice.random() < 2 / 3 else None, at) for key, at in zip(asked, moments, strict=True)
    ]


def _income(told: dict[str, str | bool], dice: random.Random) -> int | None:
    if told.get("country") != "US" or "postal_code" not in told:
        return None
    return round(dice.gauss(860, 220)) * 100 if dice.random() < 0.7 else None


def _eagerness(way: str, dice: random.Random) -> int:
    """Visits in sixty days: many come once or never, a few come every other day."""
    mean = {GOOGLE: 5.8, PASSWORD: 5.0, NEWSLETTER: 0.0}[way]
    return min(int(dice.paretovariate(1.6) * mean / 2.67), 30) if mean else 0


def _id_there(way: str, number: int, dice: random.Random) -> str:
    match way:
        case "google-oauth2":
            return str(10**20 + dice.randrange(10**19))
        case "auth0":
            return f"{dice.getrandbits(96):024x}"
    return f"newsletter-{number:05d}"


def _one_of(chances: dict[str, int], dice: random.Random) -> str:
    roll = dice.uniform(0, 100)
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
