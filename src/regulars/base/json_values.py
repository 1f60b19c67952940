"""Compare JSON values as JSON means them (Python takes true for 1), and read what is inside them."""

from __future__ import annotations

from typing import Any


def same_json(one: Any, other: Any) -> bool:
    """Return whether two JSON values are the same: `1` is `1.0` and not `true`, in lists and objects too."""
    match one, other:
        case bool(), bool():
            return one == other
        case (bool(), _) | (_, bool()):
            return False
        case list(), list():
            return len(one) == len(other) and all(map(same_json, one, other))
        case dict(), dict():
            return one.keys() == other.keys() and all(same_json(each, other[key]) for key, each in one.items())
    return bool(one == other)


def is_empty(value: Any) -> bool:
    """Return whether a value says nothing: null, or an empty text, list or object. `0` and `false` do."""
    return value is None or (isinstance(value, str | list | dict) and not value)


def value_at(value: Any, *path: str | int) -> Any:
    """Return what stands at a path of keys and positions, None where the path ends before."""
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value
