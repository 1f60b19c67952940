"""How many questions it takes until every segment of a customer is 95 % certain: a fixed order against ours.

    scripts/bench next-question [--quick]

All orders are judged by one model, learned from a thousand profiles of which most answers are missing. The last line
holds ours against the order in which the questions happen to be listed, on the simulated shop.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from benchmarks._people import PEOPLE, People
from regulars.questions.features import UNKNOWN, Floats, Ints, one_hot
from regulars.questions.model import PER_PASS, Mixture, ResponseRate, chance_of_answer, fit_best, person_effect, sigmoid
from regulars.questions.scoring import TINY, InformationGain, expected_information_gain

SURE = 0.95
TRAINED_ON = 1000
PACE = 0.075
LOGINS, WARM_UP, PASSES = 8, 400, 2
POLICIES = ("random", "fixed", "most-missing", "static", "ours", "clairvoyant")
WITH_REFUSALS = ("fixed", "ours")


@dataclass
class World:
    """One draw: the customers of the model, those who are asked, and what a login provided already."""

    people: People
    mixture: Mixture
    asked: Ints  # the truth about the customers to ask
    start: Ints
    missing: Floats  # share of holes per attribute among those learned from
    rng: np.random.Generator
    orders: dict[str, list[int]] = field(default_factory=dict)

    def information_gain(self, row: Ints, questions: list[int]) -> InformationGain:
        cards = self.people.cards
        evidence = [np.ones(c) if v == UNKNOWN else one_hot(c, int(v)) for c, v in zip(cards, row, strict=True)]
        return expected_information_gain(self.mixture, self.people.targets, evidence, questions)


def draw(people: People, seed: int, count: int) -> World:
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(people.rows))
    asked, train = people.rows[order[:count]], people.rows[order[count : count + TRAINED_ON]].copy()
    social = sorted(people.social)
    missing = rng.uniform(0.6, 0.9, len(people.names))
    missing[social] = rng.uniform(0.3, 0.6, len(social))
    train[rng.random(train.shape) < missing] = UNKNOWN
    start = np.full(asked.shape, UNKNOWN)
    for k in social:
        provided = rng.random(count) < 0.4
        start[provided, k] = asked[provided, k]
    world = World(people, fit_best(train, people.cards, seed=seed), asked, start, (train == UNKNOWN).mean(0), rng)
    columns = list(range(len(people.names)))
    world.orders = {"fixed": columns, "most-missing": sorted(columns, key=lambda k: -world.missing[k])}
    world.orders["static"] = best_static_order(world, train[:60])
    return world


def best_static_order(world: World, rows: Ints) -> list[int]:
    """The one order for everybody that the same model thinks best, greedily, over completed profiles."""
    completed = np.stack([_complete(world, row) for row in rows])
    provided = np.zeros(completed.shape, bool)
    for k in world.people.social:
        provided[:, k] = world.rng.random(len(rows)) < 0.4
    now, order = np.where(provided, completed, UNKNOWN), []
    while len(order) < now.shape[1]:
        left = [k for k in range(now.shape[1]) if k not in order]
        bits = dict.fromkeys(left, 0.0)
        for row in now:
            unknown = [k for k in left if row[k] == UNKNOWN]
            gained = world.information_gain(row, unknown)
            for k in unknown:
                bits[k] += gained.of(k)
        best = max(left, key=lambda k: bits[k])
        order.append(best)
        now[:, best] = completed[:, best]
    return order


def _complete(world: World, row: Ints) -> Ints:
    weights = np.exp(
        np.log(world.mixture.shares)
        + sum(np.log(t[:, row[k]]) for k, t in enumerate(world.mixture.answers) if row[k] != UNKNOWN)
    )
    kind = world.rng.choice(len(weights), p=weights / weights.sum())
    drawn = [world.rng.choice(table.shape[1], p=table[kind]) for table in world.mixture.answers]
    return np.where(row == UNKNOWN, drawn, row)


Pick = Callable[[World, int, Ints, list[int]], int]


def pick_of(policy: str) -> Pick:
    if policy == "ours":
        return lambda world, i, row, left: max(left, key=world.information_gain(row, left).of)
    if policy == "random":
        return lambda world, i, row, left: int(world.rng.choice(left))
    if policy == "clairvoyant":
        return _clairvoyant
    return lambda world, i, row, left: next(k for k in world.orders[policy] if k in left)


def _clairvoyant(world: World, i: int, row: Ints, left: list[int]) -> int:
    """Knows every answer and asks what would bring the model closest to the truth: a bound, not a policy."""
    truth = world.people.truth(world.asked[i : i + 1])[0]

    def loss(k: int) -> float:
        then = row.copy()
        then[k] = world.asked[i, k]
        return _surprise(world.information_gain(then, []).probabilities, truth)

    return min(left, key=loss)


def _surprise(likely: Floats, truth: Floats) -> float:
    p = np.clip(likely, TINY**0.5, 1 - TINY**0.5)
    return float(-np.where(truth, np.log2(p), np.log2(1 - p)).sum())


@dataclass(frozen=True)
class SurveyResult:
    """Questions until certain, and whether every segment was right then."""

    questions: float
    placed: float


def ask_until_sure(world: World, policy: str) -> SurveyResult:
    pick, questions, placed = pick_of(policy), [], []
    truths = world.people.truth(world.asked)
    for i, begin in enumerate(world.start):
        row = begin.copy()
        while True:
            likely = world.information_gain(row, []).probabilities
            left = [int(k) for k in np.flatnonzero(row == UNKNOWN)]
            if not left or np.maximum(likely, 1 - likely).min() >= SURE:
                break
            k = pick(world, i, row, left)
            row[k] = world.asked[i, k]
        questions.append(int((row != begin).sum()))
        placed.append(bool(((likely > 0.5) == truths[i]).all()))
    return SurveyResult(float(np.mean(questions)), float(np.mean(placed)))


@dataclass(frozen=True)
class Refusing:
    asks: float
    passes: float
    bits: float  # of entropy about segments removed, per question
    placed: float


def ask_people_who_may_pass(world: World, policy: str, seed: int) -> Refusing:
    """Eight logins each. Who answers what is hidden from the policy, but for four hundred asks seen before."""
    rng = np.random.default_rng(seed + 1000)
    columns = len(world.people.names)
    of_question, of_person = rng.normal(0.3, 1.2, columns), rng.normal(0, 0.8, len(world.asked))
    seen = _warm_up(rng, of_question)
    price = PACE * world.information_gain(np.full(columns, UNKNOWN), []).entropy
    truths, asks, passes, bits, placed = world.people.truth(world.asked), 0, 0, 0.0, 0
    for i, begin in enumerate(world.start):
        row, passed, own = begin.copy(), np.zeros(columns, int), []
        before = _surprise(world.information_gain(row, []).probabilities, truths[i])
        for _ in range(LOGINS):
            left = [int(k) for k in np.flatnonzero(row == UNKNOWN) if passed[k] < PASSES]
            k = _next(world, policy, row, left, passed, own, seen, price) if left else None
            if k is None:
                break
            asks += 1
            rate = ResponseRate(int(seen[k, 0]), int(seen[k, 1]), seen[:, 1].sum() / seen[:, 0].sum())
            provided = chance_of_answer(rate, 0.0, int(passed[k]), 0)
            answered = bool(rng.random() < sigmoid(of_question[k] + of_person[i] - PER_PASS * passed[k]))
            own.append((answered, provided))
            seen[k] += (passed[k] == 0) * np.array([1, answered])
            row[k] = world.asked[i, k] if answered else UNKNOWN
            passed[k] += not answered
            passes += not answered
        likely = world.information_gain(row, []).probabilities
        bits += before - _surprise(likely, truths[i])
        placed += bool(((likely > 0.5) == truths[i]).all())
    people = len(world.asked)
    return Refusing(asks / people, passes / people, bits / max(asks, 1), placed / people)


def _warm_up(rng: np.random.Generator, of_question: Floats) -> Ints:
    seen = np.zeros((len(of_question), 2), int)
    for _ in range(WARM_UP):
        k = int(rng.integers(len(of_question)))
        seen[k] += [1, rng.random() < sigmoid(float(of_question[k] + rng.normal(0, 0.8)))]
    return seen


def _next(
    world: World,
    policy: str,
    row: Ints,
    left: list[int],
    passed: Ints,
    own: list[tuple[bool, float]],
    seen: Ints,
    price: float,
) -> int | None:
    if policy == "fixed":
        return min(left, key=lambda k: (passed[k], k))
    gained, person = world.information_gain(row, left), person_effect(own)
    kind = seen[:, 1].sum() / seen[:, 0].sum()
    scores = {}
    for k in left:
        chance = chance_of_answer(ResponseRate(int(seen[k, 0]), int(seen[k, 1]), kind), person, int(passed[k]), 0)
        scores[k] = chance * gained.of(k) - price * (1 - chance)
    best = max(left, key=lambda k: scores[k])
    return best if scores[best] > 0 else None


def run(name: str, seeds: int, people: int, policies: tuple[str, ...]) -> dict[str, list[SurveyResult]]:
    """Both sides of every comparison in one run: each drawing is asked in every order before the next is drawn."""
    everybody, found = PEOPLE[name](), {policy: [] for policy in policies}
    for seed in range(seeds):
        world = draw(everybody, seed, people)
        for policy in policies:
            found[policy].append(ask_until_sure(world, policy))
        print(f"{name} seed {seed}: {world.mixture.types} types", flush=True)
    ours = np.array([each.questions for each in found["ours"]])
    for policy, provided in found.items():
        questions = np.array([each.questions for each in provided])
        saving = 100 * (1 - ours / questions)
        error = saving.std(ddof=1) / np.sqrt(seeds) if seeds > 1 else float("nan")
        placed = 100 * np.mean([each.placed for each in provided])
        print(f"{name:5s} {policy:13s} questions {questions.mean():5.2f}  placed {placed:5.1f} %  saved by ours {saving.mean():5.1f} % ± {error:.1f}", flush=True)  # fmt: skip
    return found


def run_with_refusals(name: str, seeds: int, people: int) -> None:
    everybody = PEOPLE[name]()
    found: dict[str, list[Refusing]] = {policy: [] for policy in WITH_REFUSALS}
    for seed in range(seeds):
        world = draw(everybody, seed, people)
        for policy in WITH_REFUSALS:
            found[policy].append(ask_people_who_may_pass(world, policy, seed))
    for policy, each in found.items():
        means = [np.mean([getattr(one, what) for one in each]) for what in ("asks", "passes", "bits", "placed")]
        error = np.std([one.bits for one in each], ddof=1) / np.sqrt(seeds) if seeds > 1 else float("nan")
        print(f"{name:5s} {policy:13s} with refusals: asks {means[0]:.2f}  passes {means[1]:.2f}  bits per ask {means[2]:.3f} ± {error:.3f}  placed {means[3]:.2f}", flush=True)  # fmt: skip


def print_cost(name: str, times: int = 500) -> None:
    world = draw(PEOPLE[name](), 0, 1)
    row, questions = world.start[0], [int(k) for k in np.flatnonzero(world.start[0] == UNKNOWN)]
    began = time.thread_time()
    for _ in range(times):
        world.information_gain(row, questions)
    print(
        f"{name:5s} one appraisal: {1000 * (time.thread_time() - began) / times:.2f} ms of processor time", flush=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two drawings of 40 customers instead of five of 200")
    quick = parser.parse_args().quick
    seeds, people = (2, 40) if quick else (5, 200)
    shop = run("shop", seeds, people, POLICIES)
    if not quick:
        run("fair", seeds, people, POLICIES)
    for name in ("shop",) if quick else ("shop", "fair"):
        run_with_refusals(name, 2, 40 if quick else 150)
    print_cost("shop")
    ratio = np.mean([each.questions for each in shop["fixed"]]) / np.mean([each.questions for each in shop["ours"]])
    print(f"next-question ratio={ratio:.2f} questions asked by a fixed order / ours, on shop")


if __name__ == "__main__":
    main()
