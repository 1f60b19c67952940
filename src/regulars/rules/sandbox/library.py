"""Modules that rules may `require` beside the built-in ones: linked texts in this home, part of the image."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from .compile_cache import cached, write_whole

# Built-in modules, by name alone: those that send requests, and those of Node.
BUILT_IN = frozenset(
    [
        "assert",
        "async",
        "auth0",
        "axios",
        "buffer",
        "cross-fetch",
        "crypto",
        "events",
        "isomorphic-fetch",
        "jsonwebtoken",
        "node-fetch",
        "node-uuid",
        "os",
        "path",
        "pbkdf2",
        "punycode",
        "querystring",
        "request",
        "request-promise",
        "request-promise-any",
        "request-promise-core/errors",
        "request-promise-native",
        "request-promise-native/errors",
        "request-promise/errors",
        "safe-buffer",
        "slack-notify",
        "stream",
        "timers",
        "url",
        "util",
        "uuid",
        "uuid/v1",
        "uuid/v3",
        "uuid/v4",
        "uuid/v5",
        "@auth0/rule-utilities",
    ]
)
_SPEC = re.compile(r"(?:node:)?(@?[^@]+)(?:@(.+))?")


@dataclass(frozen=True)
class Module:
    """One module of the library. `integrity` is npm's own sha512 of the package it was linked from."""

    name: str
    version: str
    integrity: str
    licence: str

    @property
    def path(self) -> Path:
        return folder() / (f"{self.name}@{self.version}".replace("/", "__") + ".js")

    def code(self) -> str:
        return self.path.read_text()


@dataclass(frozen=True)
class Library:
    """The installed modules. `stamp` changes with every change of them."""

    modules: tuple[Module, ...]
    stamp: str

    @classmethod
    def of(cls, modules: Iterable[Module]) -> Library:
        listed = tuple(sorted(modules, key=lambda module: module.name))
        return cls(listed, json.dumps([asdict(module) for module in listed], indent=1))

    def find(self, name: str) -> Module | None:
        return next((module for module in self.modules if module.name == name), None)


def folder() -> Path:
    path = cached("modules")
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def library() -> Library:
    """Return the library of now; another process may have changed it."""
    index = folder() / "library.json"
    try:
        about = index.stat()
    except FileNotFoundError:
        return Library((), "")
    return _read(index, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=4)
def _read(index: Path, changed: int, size: int) -> Library:
    text = index.read_text()
    return Library(tuple(Module(**one) for one in json.loads(text)), text)


def write_texts(texts: Mapping[Module, str]) -> None:
    """Write the texts, before the index that names them."""
    for module, text in texts.items():
        write_whole(module.path, text.encode())


def publish(new_library: Library, notices: str) -> None:
    """Make `new_library` available to rules from the next login on."""
    write_whole(folder() / "THIRD-PARTY.txt", notices.encode())
    write_whole(folder() / "library.json", new_library.stamp.encode())


def split_spec(spec: str) -> tuple[str, str]:
    """Split `lodash@4.17.21` into `("lodash", "4.17.21")`; without a version the second is empty."""
    found = _SPEC.fullmatch(spec)
    return (found[1], found[2] or "") if found else (spec, "")


def major(version: str) -> str:
    return version.lstrip("^~=v").split(".")[0]
