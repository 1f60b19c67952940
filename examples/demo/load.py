"""Write the invented customers through the product's own packages, a few hundred at a time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from itertools import islice

from django.contrib.auth.hashers import make_password
from django.db import transaction

from regulars.accounts.models import Account
from regulars.base import clock
from regulars.consent.models import ConsentEvent
from regulars.consent.record import Decision
from regulars.events.models import Event, Source
from regulars.events.record import new_event
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Identity, Profile
from regulars.questions.models import Impression, Question
from regulars.questions.next_question import MIN_OWN_VALUE, notice_of
from regulars.usecases.unit_of_work import changes

from .customers import GOOGLE, NEWSLETTER, PASSWORD, Customer, customers
from .customers import Decision as DemoDecision
from .visits import DemoEvent, demo_events

PORTION = 250
READING = dt.timedelta(seconds=6)
# The kind of source and the source of each customer's first facts, by connection.
SOURCES = {
    GOOGLE: ("verified", GOOGLE),
    PASSWORD: ("declared", "app:shop"),
    NEWSLETTER: ("imported", "import:newsletter"),
}
CONNECTIONS = {GOOGLE: GOOGLE, PASSWORD: "Username-Password-Authentication", NEWSLETTER: ""}
INCOME_SOURCE = "source:us-census-acs"
LOOK_UPS = ("enrich", "given")


def load_customers(count: int, source: Source) -> Iterator[int]:
    """Write `count` invented customers with their history. Yields the number written after each portion.

    Customers that exist already stay unchanged. A portion is one transaction, so the next start completes an
    interrupted one. Questions must exist before the answers to them.
    """
    now = clock.now()
    crowd = customers(count, now)
    questions = {question.key: question for question in Question.objects.select_related("purpose")}
    done = 0
    while portion := list(islice(crowd, PORTION)):
        with transaction.atomic():
            _load(_new_customers(portion), source, questions, now)
        done += len(portion)
        yield done


def _new_customers(portion: list[Customer]) -> list[Customer]:
    there = set(Profile.objects.filter(user_id__in=map(_user_id, portion)).values_list("user_id", flat=True))
    return [customer for customer in portion if _user_id(customer) not in there]


def _load(portion: list[Customer], source: Source, questions: dict[str, Question], now: dt.datetime) -> None:
    events = {customer.number: list(demo_events(customer, now)) for customer in portion}
    profiles = _profiles(portion, events)
    with changes(profiles.values(), "demo") as c:
        decided = iter(c.decide_all([(profiles[each.number], list(_decisions(each))) for each in portion]))
        given = {each.number: dict(zip(each.decisions, decided)) for each in portion}  # noqa: B905 - one iterator for all
        c.learn_all([(profiles[each.number], list(_facts(each, given[each.number]))) for each in portion])
        c.learn_all(
            [
                (profiles[each.number], list(_looked_up(profiles[each.number], each, given[each.number])))
                for each in portion
            ]
        )
        Impression.objects.bulk_create(ask for each in portion for ask in _asks(profiles[each.number], each, questions))
        c.record_events(
            _event(profiles[each.number], each, number, event, source)
            for each in portion
            for number, event in enumerate(events[each.number])
        )


def _profiles(portion: list[Customer], events: dict[int, list[DemoEvent]]) -> dict[int, Profile]:
    """Map customer numbers to profiles, with an account for those who can sign in and an identity for all."""
    accounts = {
        customer.number: Account(email=str(customer.claims.get("email", "")), password=make_password(None))
        for customer in portion
        if customer.connection != NEWSLETTER
    }
    Account.objects.bulk_create(accounts.values())
    profiles = {
        customer.number: _profile(customer, accounts.get(customer.number), events[customer.number])
        for customer in portion
    }
    Profile.objects.bulk_create(profiles.values())
    Identity.objects.bulk_create(_identity(customer, profiles[customer.number]) for customer in portion)
    return profiles


def _profile(customer: Customer, account: Account | None, events: list[DemoEvent]) -> Profile:
    logins = [each.at for each in events if each.name == "Signed In"]
    return Profile(
        user_id=_user_id(customer),
        account=account,
        created_at=customer.joined,
        last_seen_at=max((each.at for each in events), default=customer.joined),
        last_login=max(logins, default=None),
        logins_count=len(logins),
    )


def _user_id(customer: Customer) -> str:
    return f"{customer.connection}|{customer.provider_user_id}"


def _identity(customer: Customer, profile: Profile) -> Identity:
    return Identity(
        profile=profile,
        provider=customer.connection,
        provider_user_id=customer.provider_user_id,
        connection=CONNECTIONS[customer.connection],
        is_social=customer.connection == GOOGLE,
        first_seen_at=customer.joined,
        last_seen_at=profile.last_seen_at or customer.joined,
    )


def _decisions(customer: Customer) -> Iterable[Decision]:
    return (
        Decision(each.purpose, each.action, each.method, at=each.at, evidence=_evidence(each))
        for each in customer.decisions
    )


def _evidence(decision: DemoDecision) -> dict[str, object]:
    """Return the evidence that the product itself records for a decision made this way."""
    pieces = {"pieces": list(decision.pieces)} if decision.pieces else {}
    match decision.method:
        case "import":
            return {"double_opt_in": "newsletter"}
        case "login":
            return {"connection": GOOGLE, "claim": decision.asked_by, **pieces}
        case "question":
            return {"question": f"{decision.asked_by}@1", **pieces}
    return {}


def _facts(customer: Customer, given: dict[DemoDecision, ConsentEvent]) -> Iterator[NewFact]:
    """Yield what the customer provided, each fact under the very decision that it was given by, or for the account."""
    kind, source = SOURCES[customer.connection]
    for attribute, value in customer.claims.items():
        under = _decision_on(attribute, customer.joined, given)
        basis, consents = ("consent", [under.pk]) if under else ("contract", [])
        yield NewFact(attribute, value, kind, source, basis=basis, consents=consents, collected_at=customer.joined)
    for answer in customer.answers:
        if answer.value is not None and (under := _decision_on(answer.question, answer.at, given)):
            yield NewFact(
                answer.question,
                answer.value,
                "declared",
                f"question:{answer.question}@1",
                basis="consent",
                consents=[under.pk],
                collected_at=answer.at,
            )


def _decision_on(attribute: str, at: dt.datetime, given: dict[DemoDecision, ConsentEvent]) -> ConsentEvent | None:
    """Return the consent to use this attribute that was given then. What was imported came with one consent."""
    return next(
        (
            event
            for decision, event in given.items()
            if decision.at == at and (attribute in decision.pieces or decision.action == "imported")
        ),
        None,
    )


def _looked_up(profile: Profile, customer: Customer, given: dict[DemoDecision, ConsentEvent]) -> Iterator[NewFact]:
    """Yield the income of the area of customers who allow look-ups.

    It follows from the postal code and the country, and lives with their consents too.
    """
    yes = next((event for decision, event in given.items() if (decision.purpose, decision.action) == LOOK_UPS), None)
    if customer.income is None or yes is None:
        return
    about = list(profile.facts.filter(attribute__in=("postal_code", "country"), source=GOOGLE).order_by("id"))
    yield NewFact(
        "area_median_income",
        customer.income,
        "enriched",
        INCOME_SOURCE,
        basis="consent",
        purpose="enrich",
        consents=sorted({yes.pk, *(consent for fact in about for consent in fact.consents)}),
        confidence=0.6,
        collected_at=customer.joined,
        derived_from=[fact.pk for fact in about],
    )


def _asks(profile: Profile, customer: Customer, questions: dict[str, Question]) -> Iterator[Impression]:
    """Yield one impression a day, as the database requires; every eighth customer answers "never" at the last skip."""
    days = {answer.at.date(): answer for answer in customer.answers if answer.question in questions}
    for number, (day, answer) in enumerate(days.items(), 1):
        question = questions[answer.question]
        chose_never = number == len(days) and customer.number % 8 == 0
        passed = Impression.Outcome.NEVER if chose_never else Impression.Outcome.PASSED
        yield Impression(
            question=question,
            version=question.version,
            profile=profile,
            day=day,
            shown_at=answer.at - READING,
            outcome=passed if answer.value is None else Impression.Outcome.ANSWERED,
            closed_at=answer.at,
            words=notice_of(question),
            value=MIN_OWN_VALUE * question.weight,
        )


def _event(profile: Profile, customer: Customer, number: int, event: DemoEvent, source: Source) -> Event:
    return new_event(
        profile.pk,
        event.name,
        event.properties,
        at=event.at,
        received_at=event.at,
        type=event.type,
        message_id=f"demo-{customer.provider_user_id}-{number}",
        source=None if event.first_party else source,
    )
