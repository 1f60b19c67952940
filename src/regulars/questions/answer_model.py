"""Load the model of answers that question selection uses, and refit it from the data that measuring may use."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from functools import lru_cache
from typing import TypedDict

import numpy as np
from django.db.models import Count, Q

from regulars.base import clock
from regulars.base.conditions import Person, mentions, parse
from regulars.consent.view import current_views
from regulars.profiles.models import Attribute

from .features import (
    FeatureSpace,
    FeatureSpec,
    Ints,
    Priors,
    TargetSegment,
    feature_space_of,
    no_evidence,
    prior_shares,
)
from .model import INITIAL_RATE, Mixture, ModelBundle, ResponseRate, adapt, fit, fit_best, split, uniform
from .models import AnswerModel, Impression, Question, QuestionSettings, SelectionDecision, Target
from .scoring import expected_information_gain
from .settings import get_question_settings

MAX_OPTIONS = 24  # an attribute of more answers is no feature
PURPOSE = "measure"  # learning shares of groups is what customers read about this purpose
SAMPLE = 20_000  # profiles; more take long and change little
MIN_PROFILES = 50
KEPT = 10  # models, to look back at
YEAR, HALF_YEAR = dt.timedelta(days=365), dt.timedelta(days=180)
Answers = tuple[str | int | bool, ...]


class RateJson(TypedDict):
    """The response rate of one question, as `AnswerModel.rates` stores it."""

    shown: int
    answered: int
    kind: float


def get_model_bundle(
    questions: Sequence[Question], attributes: dict[str, Attribute], settings: QuestionSettings
) -> ModelBundle:
    """Return the model in use, built once per change of segments, questions, model or priors and kept by this process."""
    targets = list(Target.objects.order_by("slug").select_related("purpose"))
    number = AnswerModel.objects.filter(in_use=True).order_by("-id").values_list("pk", flat=True).first()
    spec = feature_spec_of(targets, questions, attributes)
    return _load(spec, number or 0, json.dumps(settings.priors, sort_keys=True))


def feature_spec_of(
    targets: Sequence[Target], questions: Sequence[Question], attributes: dict[str, Attribute]
) -> FeatureSpec:
    """Return the features and segments of selection. Special categories are in neither."""
    special = {key for key, each in attributes.items() if each.sensitivity == Attribute.Sensitivity.SPECIAL}
    segments: list[TargetSegment] = []
    mentioned: set[str] = set()
    for target in targets:
        fields = mentions(parse(target.text)).fields
        if target.purpose.active and not fields & special:
            segments.append(TargetSegment(target.slug, target.text, target.purpose_id, target.weight))
            mentioned |= fields
    asked = {each.attribute: each for each in questions if not each.kind.gives_consent}
    closed: dict[str, Answers] = {}
    lists: dict[str, tuple[str, ...]] = {}
    for key in sorted((mentioned | set(asked)) - special):
        attribute = attributes.get(key)
        question = asked.get(key)
        answers: Answers = ()  # those that the attribute declares, else those that its question offers
        if attribute and attribute.options:
            answers = tuple(each["key"] for each in attribute.options)
        elif attribute and attribute.type == "boolean":
            answers = (True, False)
        elif question:
            answers = tuple(question.kind.answers(question.choices()))
        if 0 < len(answers) <= MAX_OPTIONS:
            if attribute and attribute.type == "list":
                lists[key] = tuple(str(answer) for answer in answers)
            else:
                closed[key] = answers
    rest = sorted(mentioned - special - set(closed) - set(lists))
    return FeatureSpec(tuple(segments), tuple(closed.items()), tuple(lists.items()), tuple(rest), clock.today())


@lru_cache(maxsize=8)
def _load(spec: FeatureSpec, model: int, priors: str) -> ModelBundle:
    space, shares = feature_space_of(spec), json.loads(priors)
    mixture, rates = adapt(uniform([]), (), space, shares), {}
    if row := AnswerModel.objects.filter(pk=model).first():
        rates = {key: ResponseRate(**rate) for key, rate in row.rates.items()}
        if row.mixture:
            mixture = _stored_mixture(row, space, shares)
    now, entropy = clock.now(), 0.0
    for purpose in {segment.purpose for segment in spec.segments}:
        targets = [target for _, target in space.targets(purpose, Person({}), now)]
        entropy += expected_information_gain(mixture, targets, no_evidence(space.cardinalities), ()).entropy
    return ModelBundle(space, mixture, rates, entropy, f"types:{mixture.types} model:{model}")


def _stored_mixture(row: AnswerModel, space: FeatureSpace, priors: Priors) -> Mixture:
    features = [(name, cardinality) for name, cardinality in row.columns]
    return adapt(Mixture.from_json(row.mixture), features, space, priors)


def refit() -> AnswerModel:
    """Fit on a sample and store the model. It is used unless it predicts unseen profiles worse than the last one.

    Deletes older models and decisions that are no longer kept.
    """
    priors = get_question_settings().priors
    attributes = {each.key: each for each in Attribute.objects.all()}
    questions = list(Question.objects.filter(enabled=True).order_by("key"))
    targets = list(Target.objects.select_related("purpose"))
    space = feature_space_of(feature_spec_of(targets, questions, attributes))
    rows = _sample_rows(space)
    model = AnswerModel(
        made_at=clock.now(),
        columns=[[feature.name, feature.cardinality] for feature in space.features],
        rates=response_rates(),
        rows=len(rows),
    )
    before = AnswerModel.objects.filter(in_use=True).order_by("-id").first()
    if len(rows) < MIN_PROFILES or not space.features:
        model.in_use, model.why = True, "too_few_profiles"
    else:
        shares = [prior_shares(each, priors) if each.attribute in priors else None for each in space.features]
        fitted = fit_best(rows, space.cardinalities, priors=shares)
        train, test = split(rows)
        unseen = fit(train, space.cardinalities, fitted.types, priors=shares)
        model.held_out, model.mixture = float(unseen.log_likelihood(test).mean()), fitted.as_json()
        learned = before is not None and before.mixture
        old = _stored_mixture(before, space, priors) if learned and before else adapt(uniform([]), (), space, priors)
        model.in_use = model.held_out >= float(old.log_likelihood(test).mean())
        model.why = "learned" if model.in_use else "worse_than_before"
    model.save()
    kept = list(AnswerModel.objects.order_by("-id").values_list("pk", flat=True)[:KEPT])
    in_use = AnswerModel.objects.filter(in_use=True).order_by("-id").values_list("pk", flat=True).first()
    AnswerModel.objects.exclude(pk__in=[*kept, in_use or 0]).delete()
    SelectionDecision.objects.filter(at__lt=clock.now() - HALF_YEAR).delete()
    return model


def response_rates() -> dict[str, RateJson]:
    """Return question key → its impressions and answers within a year, and the mean rate of its type.

    Impressions that follow an answer do not count: customers who want more questions answer more.
    """
    answered = Count("id", filter=Q(outcome=Impression.Outcome.ANSWERED))
    shown = Impression.objects.filter(shown_at__gte=clock.now() - YEAR, follows=None).order_by()
    found = list(shown.values_list("question__key", "question__type").annotate(times=Count("id"), answered=answered))
    kinds: dict[str, tuple[int, int]] = {}
    for _, kind, times, answers in found:
        before = kinds.get(kind, (0, 0))
        kinds[kind] = before[0] + times, before[1] + answers
    mean = {kind: (answers + 20 * INITIAL_RATE) / (times + 20) for kind, (times, answers) in kinds.items()}
    return {key: {"shown": times, "answered": n, "kind": round(mean[kind], 4)} for key, kind, times, n in found}


def _sample_rows(space: FeatureSpace) -> Ints:
    """Return a random sample of usable profiles as rows of answers, without those that have none."""
    now = clock.now()
    views = current_views().filter(purpose=PURPOSE, profile__merged_into=None).order_by("?")
    answers = [space.row(each, now) for each in views.values_list("terms", flat=True)[:SAMPLE].iterator()]
    rows = np.array(answers, dtype=np.int64).reshape(len(answers), len(space.features))
    return rows[(rows >= 0).any(1)]
