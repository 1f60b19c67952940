"""Bring modules into this home: the curated ones after its start, others when an operator says so."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from regulars.base.errors import Invalid

from ..sandbox.cache import Unavailable
from ..sandbox.library import OURS, Library, Module, folder, library, named, publish, write_texts
from ..sandbox.realm import prepare
from .curated import CURATED, Locked
from .link import Linked, link
from .registry import Files, NoRegistry, Unreachable, fetch, find, registry


def install_curated(say: Callable[[str], None]) -> bool:
    """Fetch what is missing of the lock file; what an operator chose in another version stays.

    False without a registry that can be reached; then nothing changed. Raises `Invalid("wrong_content" | …)` as `add`.
    """
    wanted = [one for one in CURATED.values() if library().find(one.name) is None]
    if not wanted:
        return True
    try:
        place = registry()
        say(f"Fetching {len(wanted)} modules for rules …")
        _install(wanted, place)
    except (NoRegistry, Unreachable) as refused:
        names = _listed(one.name for one in wanted)
        say(
            f"{refused.message} ({refused.code})\nUntil `regulars rules modules install` succeeds, rules are refused"
            f" that need {names}."
        )
        return False
    say(f"Rules may require {_listed(one.name for one in wanted)} from now on.")
    return True


def add(specs: Iterable[str]) -> list[Module]:
    """Modules by `name@version`, pinned from now on by what the registry says today.

    Raises `Invalid("no_version" | "already_ours" | "module_needs" | "no_registry" | "unknown_module" | …)`.
    """
    asked = [_asked(spec) for spec in specs]
    place = registry()
    return _install([_pinned(name, version, place) for name, version in asked], place)


def _asked(spec: str) -> tuple[str, str]:
    name, version = named(spec)
    if name in OURS:
        raise Invalid("already_ours", f"{name} is part of the house, whatever version a rule asks for.")
    if not version:
        raise Invalid("no_version", f"Say which version of {name}: {name}@1.2.3")
    return name, version


def _pinned(name: str, version: str, place: str) -> Locked:
    curated = CURATED.get(name)
    return curated if curated and curated.version == version else find(name, version, place)


def _install(wanted: list[Locked], place: str) -> list[Module]:
    """The image is made before anybody is told of the modules: no login waits for it."""
    fetched = {one: fetch(one, place) for one in wanted}
    linked = {one: link(files, one.entry) for one, files in fetched.items()}
    kept = [module for module in library().modules if module.name not in {one.name for one in wanted}]
    _check_needs(linked, {module.name for module in kept} | {one.name for one in wanted} | OURS)
    texts = {_module(one): linked[one].code for one in wanted}
    notices = {f"{one.name}@{one.version}": _notice(one, files) for one, files in fetched.items()}
    write_texts(texts)
    stock = Library.of([*kept, *texts])
    try:
        prepare(stock)
    except Unavailable as fault:
        raise Invalid("not_loadable", f"Nothing was installed: {fault}.") from None
    publish(stock, _notices(kept, notices))
    return list(texts)


def _check_needs(linked: dict[Locked, Linked], there: Iterable[str]) -> None:
    for package, result in linked.items():
        missing = sorted(result.needs - set(there))
        if missing:
            raise Invalid("module_needs", f"{package.name} needs {_listed(missing)}: add them in the same command.")


def _module(package: Locked) -> Module:
    return Module(package.name, package.version, package.integrity, package.licence)


def _notice(package: Locked, files: Files) -> str:
    texts = [text for path, text in files.items() if "/" not in path and not path.endswith((".js", ".json", ".cjs"))]
    return (
        f"{package.name}@{package.version}\nLicence: {package.licence or 'not stated'}\n\n" + "\n".join(texts).strip()
    )


_RULER = "\n\n" + "-" * 80 + "\n\n"
_HEAD = "What rules of this installation may require, and under which licence."


def _notices(kept: list[Module], fresh: dict[str, str]) -> str:
    """The whole file: what was there for modules that stay, and the new."""
    path = folder() / "THIRD-PARTY.txt"
    before = path.read_text().split(_RULER)[1:] if path.exists() else []
    names = {f"{module.name}@{module.version}" for module in kept}
    stay = [notice for notice in before if notice.split("\n", 1)[0] in names]
    return _RULER.join([_HEAD, *stay, *fresh.values()])


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
