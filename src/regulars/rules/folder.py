"""Python rules of this deployment: files in the folder `rules` of the home, each with a function `rule`.

    home/rules/greet.py:   def rule(user, context, api): ...

The file's name is the rule's key. Trusted like everything else the operator puts there; read anew when a file changes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from django.conf import settings

from regulars.base.errors import Invalid

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_loaded: dict[Path, tuple[int, Callable[..., Any]]] = {}


def folder_rules() -> list[str]:
    """The keys of the files that are there."""
    return sorted(path.stem for path in _folder().glob("*.py") if _NAME.fullmatch(path.stem))


def load(key: str) -> Callable[..., Any]:
    """The function of the file called `key`. Raises `Invalid("unknown_plugin" | "bad_rule_file")`, naming the file."""
    path = _folder() / f"{key}.py"
    if not _NAME.fullmatch(key) or not path.is_file():
        raise Invalid(
            "unknown_plugin", f"No rule called {key!r} is installed, and {path.name} is not in the folder rules."
        )
    about = path.stat()
    if about.st_mode & 0o002:
        raise Invalid("bad_rule_file", f"{path.name} can be written by anybody; it is not run.")
    changed, function = _loaded.get(path, (0, None))
    if function is None or changed != about.st_mtime_ns:
        function = _read(path)
        _loaded[path] = (about.st_mtime_ns, function)
    return function


def _read(path: Path) -> Callable[..., Any]:
    module = ModuleType(f"regulars_rules_{path.stem}")
    module.__file__ = str(path)
    try:
        exec(compile(path.read_text(), path.name, "exec"), module.__dict__)  # noqa: S102 - the operator's own file
    except Exception as error:
        raise Invalid("bad_rule_file", f"{path.name} cannot be loaded: {type(error).__name__}: {error}") from None
    function = getattr(module, "rule", None)
    if not callable(function):
        raise Invalid("bad_rule_file", f"{path.name} has no function called rule.")
    return function  # type: ignore[no-any-return]


def _folder() -> Path:
    return Path(settings.HOME) / "rules"
