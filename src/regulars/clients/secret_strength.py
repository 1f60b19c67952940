"""How hard a client secret that a developer chose is to guess. It is stored as a fast hash, which protects random values only."""

from __future__ import annotations

import math

# Runs of neighbours on keyboards; runs by code point (`abc`, `987`) are found by their steps.
KEYBOARD = ("qwertyuiopasdfghjklzxcvbnm", "qwertzuiopasdfghjklyxcvbnm", "azertyuiopqsdfghjklmwxcvbn", "!@#$%^&*()_+")
SHORTEST_REPETITION = 3


def estimated_bits(secret: str, known: tuple[str, ...] = ()) -> float:
    """Return an upper bound of the bits that an attacker must guess, who knows the texts in `known`.

    A character counts when it does not follow from those before it: by repeating one, by going on with a run or along a
    keyboard, or by repeating an earlier part. 32 random hexadecimal digits have about 105, words as people write them fewer.
    """
    text = secret.casefold()
    for each in known:
        text = text.replace(each.casefold(), "") if each else text
    unpredicted = sum(not _follows(text, place) for place in range(len(text)))
    return unpredicted * math.log2(max(len(set(text)), 1))


def _follows(text: str, place: int) -> bool:
    if place == 0:
        return False
    pair = text[place - 1 : place + 1]
    if pair[0] == pair[1] or any(pair in row or pair in row[::-1] for row in KEYBOARD):
        return True
    steps = [ord(text[place - back]) - ord(text[place - back - 1]) for back in range(min(place, 2))]
    if len(steps) == 2 and steps[0] == steps[1]:
        return True
    start = place + 1 - SHORTEST_REPETITION
    return start > 0 and text[start : place + 1] in text[:place]
