"""Write the invented customers through the product's own packages, a few hundred at a time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from itertools import islice

from django.contrib.auth.hashers import make_password
from django.db import transaction

from regulars.accounts.models import Account
from regulars.base import clock
from regulars.consent.record import Decision
from regulars.events.models import Event, Source
from regulars.events.record import new_event
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Identity, Profile
from regulars.questions.models import Impression, Question
from regulars.questions.next_question import MIN_OWN_VALUE, notice_of
from regulars.usecases.unit_of_work import changes

from .customers import GOOGLE, NEWSLETTER, PASSWORD, Customer, customers
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
        c.decide_all([(profiles[each.number], list(_decisions(each))) for each in portion])
        c.learn_all([(profiles[each.number], list(_facts(each))) for each in portion])
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
    imported = customer.connection == NEWSLETTER
    method, evidence = ("import", {"double_opt_in": "newsletter"}) if imported else ("login", {})
    return (Decision(each.purpose, each.action, method, at=each.at, evidence=evidence) for each in customer.decisions)


def _facts(customer: Customer) -> Iterator[NewFact]:
    kind, source = SOURCES[customer.connection]
    for attribute, value in customer.claims.items():
        yield NewFact(attribute, value, kind, source, collected_at=customer.joined)
    for answer in customer.answers:
        if answer.value is not None:
            yield NewFact(
                answer.question, answer.value, "declared", f"question:{answer.question}@1", collected_at=answer.at
            )
    if customer.income is not None:
        yield NewFact(
            "area_median_income",
            customer.income,
            "enriched",
            INCOME_SOURCE,
            basis="legitimate_interest",
            confidence=0.6,
            collected_at=customer.joined,
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
