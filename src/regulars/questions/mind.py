"""What the chooser knows besides the customer: the segments to settle, the columns, the learned model, the rates."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from regulars.base import clock
from regulars.base.conditions import Person, mentions, parse
from regulars.profiles.models import Attribute

from .declare import answers_of
from .mixture import Mixture, uniform
from .models import AnswerModel, Question, QuestionSettings, Target
from .propensity import Rate
from .world import Aim, Blueprint, World, world_of
from .worth import nothing_known, worth

MOST_OPTIONS = 24  # an attribute of more answers is not reasoned over
Closed = tuple[str | int | bool, ...]


@dataclass(frozen=True)
class Mind:
    """`doubt` is about somebody we know nothing of, in bits; `shown` how many questions were ever shown."""

    world: World
    mixture: Mixture
    rates: dict[str, Rate]
    doubt: float
    version: str

    @property
    def shown(self) -> int:
        return sum(rate.shown for rate in self.rates.values())

    @property
    def purposes(self) -> list[str]:
        return sorted({aim.purpose for aim in self.world.blueprint.aims})


def get_mind(questions: Sequence[Question], attributes: dict[str, Attribute], settings: QuestionSettings) -> Mind:
    """Built once per change of segments, questions, model or priors, then kept by this process."""
    plan = blueprint_of(list(Target.objects.order_by("slug").select_related("purpose")), questions, attributes)
    number = AnswerModel.objects.filter(in_use=True).order_by("-id").values_list("pk", flat=True).first()
    return _mind(plan, number or 0, json.dumps(settings.priors, sort_keys=True))


def blueprint_of(
    targets: Sequence[Target], questions: Sequence[Question], attributes: dict[str, Attribute]
) -> Blueprint:
    """What to reason over. A special category is never a column, and no segment that mentions one is an aim."""
    special = {key for key, each in attributes.items() if each.sensitivity == Attribute.Sensitivity.SPECIAL}
    aims: list[Aim] = []
    mentioned: set[str] = set()
    for target in targets:
        fields = mentions(parse(target.text)).fields
        if target.purpose.active and not fields & special:
            aims.append(Aim(target.slug, target.text, target.purpose_id, target.weight))
            mentioned |= fields
    asked = {each.attribute: each for each in questions if not hasattr(each.kind, "gives_consent")}
    closed: dict[str, Closed] = {}
    lists: dict[str, tuple[str, ...]] = {}
    for key in sorted((mentioned | set(asked)) - special):
        answers = _answers(attributes.get(key), asked.get(key))
        if 0 < len(answers) <= MOST_OPTIONS:
            if (attribute := attributes.get(key)) and attribute.type == "list":
                lists[key] = tuple(str(answer) for answer in answers)
            else:
                closed[key] = answers
    rest = sorted(mentioned - special - set(closed) - set(lists))
    return Blueprint(tuple(aims), tuple(closed.items()), tuple(lists.items()), tuple(rest), clock.today())


def _answers(attribute: Attribute | None, question: Question | None) -> Closed:
    """Those the attribute declares, else those its question offers."""
    if attribute and attribute.options:
        return tuple(each["key"] for each in attribute.options)
    if attribute and attribute.type == "boolean":
        return (True, False)
    return answers_of(question.kind, question.choices()) if question else ()


@lru_cache(maxsize=8)
def _mind(plan: Blueprint, model: int, priors: str) -> Mind:
    world, shares = world_of(plan), json.loads(priors)
    mixture, rates = world.adapt((), uniform([]), shares), {}
    if row := AnswerModel.objects.filter(pk=model).first():
        rates = {key: Rate(**rate) for key, rate in row.rates.items()}
        if row.mixture:
            columns = [(name, card) for name, card in row.columns]
            mixture = world.adapt(columns, Mixture.from_json(row.mixture), shares)
    return Mind(world, mixture, rates, _doubt_about_nobody(world, mixture), f"types:{mixture.types} model:{model}")


def _doubt_about_nobody(world: World, mixture: Mixture) -> float:
    now = clock.now()
    doubt = 0.0
    for purpose in {aim.purpose for aim in world.blueprint.aims}:
        targets = [target for _, target in world.targets(purpose, Person({}), now)]
        doubt += worth(mixture, targets, nothing_known(world.cards), ()).doubt
    return doubt
