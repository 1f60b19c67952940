"""Learn anew who answers what, from what may be used to understand customers as a group. Keeps the old model if better."""

from __future__ import annotations

import datetime as dt

import numpy as np
from django.db.models import Count, Q

from regulars.base import clock
from regulars.consent.models import PermittedView
from regulars.profiles.models import Attribute

from .mind import blueprint_of
from .mixture import Ints, Mixture, fit, fit_best, split, uniform
from .models import AnswerModel, Impression, Question, SelectionDecision, Target
from .propensity import START
from .settings import how_we_ask
from .world import World, prior_shares, world_of

PURPOSE = "measure"  # learning shares of groups is what this purpose tells customers
SAMPLE = 20_000  # profiles; more take long and teach little
FEWEST = 50
KEPT = 10  # models, to look back at
YEAR, HALF_YEAR = dt.timedelta(days=365), dt.timedelta(days=180)


def refit() -> AnswerModel:
    """Fit on a sample and write the model down. It is in use unless it foretells unseen profiles worse than the last."""
    settings = how_we_ask()
    attributes = {each.key: each for each in Attribute.objects.all()}
    questions = list(Question.objects.filter(enabled=True).order_by("key"))
    world = world_of(blueprint_of(list(Target.objects.select_related("purpose")), questions, attributes))
    rows = _rows(world)
    model = AnswerModel(
        made_at=clock.now(),
        columns=[[column.name, column.card] for column in world.columns],
        rates=rates(),
        rows=len(rows),
    )
    before = AnswerModel.objects.filter(in_use=True).order_by("-id").first()
    if len(rows) < FEWEST or not world.columns:
        model.in_use, model.why = True, "too_few_profiles"
    else:
        _learn(model, world, rows, before, settings.priors)
    model.save()
    _tidy()
    return model


def rates() -> dict[str, dict[str, float]]:
    """Question key → how it fared within a year, and the mean rate of its kind."""
    answered = Count("id", filter=Q(outcome=Impression.Outcome.ANSWERED))
    shown = Impression.objects.filter(
        shown_at__gte=clock.now() - YEAR, follows=None
    ).order_by()  # who wants more answers more
    found = list(shown.values_list("question__key", "question__type").annotate(times=Count("id"), answered=answered))
    kinds: dict[str, tuple[int, int]] = {}
    for _, kind, times, answers in found:
        before = kinds.get(kind, (0, 0))
        kinds[kind] = before[0] + times, before[1] + answers
    mean = {kind: (answers + 20 * START) / (times + 20) for kind, (times, answers) in kinds.items()}
    return {key: {"shown": times, "answered": n, "kind": round(mean[kind], 4)} for key, kind, times, n in found}


def _rows(world: World) -> Ints:
    """A random sample of what may be used of customers, as answers; profiles that say nothing are left out."""
    now = clock.now()
    views = PermittedView.objects.filter(purpose=PURPOSE, profile__merged_into=None).order_by("?")
    terms = views.values_list("terms", flat=True)[:SAMPLE]
    answers = [world.row(each, now) for each in terms.iterator()]
    rows = np.array(answers, dtype=np.int64).reshape(len(answers), len(world.columns))
    return rows[(rows >= 0).any(1)]


def _learn(
    model: AnswerModel, world: World, rows: Ints, before: AnswerModel | None, priors: dict[str, dict[str, float]]
) -> None:
    shares = [prior_shares(column, priors) if column.attribute in priors else None for column in world.columns]
    fitted = fit_best(rows, world.cards, priors=shares)
    train, test = split(rows)
    unseen = fit(train, world.cards, fitted.types, priors=shares)
    model.held_out = _mean(unseen, test)
    model.mixture = fitted.as_json()
    old = _old(world, before, priors)
    model.in_use = old is None or model.held_out >= _mean(old, test)
    model.why = "learned" if model.in_use else "worse_than_before"


def _old(world: World, before: AnswerModel | None, priors: dict[str, dict[str, float]]) -> Mixture | None:
    """The model in use, for the columns there are now; at least the shares nobody had to learn."""
    if before is None or not before.mixture:
        return world.adapt((), uniform([]), priors)
    return world.adapt([(name, card) for name, card in before.columns], Mixture.from_json(before.mixture), priors)


def _mean(mixture: Mixture, rows: Ints) -> float:
    return float(mixture.log_likelihood(rows).mean())


def _tidy() -> None:
    """Old models and old decisions are of no use to anybody."""
    kept = list(AnswerModel.objects.order_by("-id").values_list("pk", flat=True)[:KEPT])
    in_use = AnswerModel.objects.filter(in_use=True).order_by("-id").values_list("pk", flat=True).first()
    AnswerModel.objects.exclude(pk__in=[*kept, in_use or 0]).delete()
    SelectionDecision.objects.filter(at__lt=clock.now() - HALF_YEAR).delete()
