"""Install modules into this home: the curated ones after the start, others by command."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from regulars.base.errors import Invalid

from ..sandbox.compile_cache import EngineUnavailable
from ..sandbox.library import BUILT_IN, Library, Module, folder, library, publish, split_spec, write_texts
from ..sandbox.realm import prepare
from .curated import CURATED, PinnedModule
from .link import link
from .registry import NoRegistry, Unreachable, fetch, find, registry


def install_curated(report: Callable[[str], None]) -> bool:
    """Fetch missing modules of the lock file; modules that an operator pinned stay.

    Returns false, with nothing changed, when no registry can be reached. Raises `Invalid("wrong_content" | …)` as `add`.
    """
    wanted = [one for one in CURATED.values() if library().find(one.name) is None]
    if not wanted:
        return True
    try:
        registry_url = registry()
        report(f"Fetching {len(wanted)} modules for rules …")
        _install(wanted, registry_url)
    except (NoRegistry, Unreachable) as refused:
        names = _listed(one.name for one in wanted)
        report(
            f"{refused.message} ({refused.code})\nUntil `regulars rules modules install` succeeds, rules"
            f" that need {names} are rejected."
        )
        return False
    report(f"Rules may require {_listed(one.name for one in wanted)} from now on.")
    return True


def add(specs: Iterable[str]) -> list[Module]:
    """Install modules by `name@version` and pin them to the registry's current checksum.

    Raises `Invalid("no_version" | "already_ours" | "module_needs" | "no_registry" | "unknown_module" | …)`.
    """
    asked = [split_spec(spec) for spec in specs]
    for name, version in asked:
        if name in BUILT_IN:
            raise Invalid("already_ours", f"{name} is built in, for every version that a rule asks for.")
        if not version:
            raise Invalid("no_version", f"Name a version of {name}: {name}@1.2.3")
    registry_url = registry()
    pinned = []
    for name, version in asked:
        curated = CURATED.get(name)
        pinned.append(curated if curated and curated.version == version else find(name, version, registry_url))
    return _install(pinned, registry_url)


def _install(wanted: list[PinnedModule], registry_url: str) -> list[Module]:
    """Build the image before the modules are published, so that no login waits for it."""
    fetched = {one: fetch(one, registry_url) for one in wanted}
    linked = {one: link(files, one.entry) for one, files in fetched.items()}
    kept = [module for module in library().modules if module.name not in {one.name for one in wanted}]
    there = {module.name for module in kept} | {one.name for one in wanted} | BUILT_IN
    for package, result in linked.items():
        missing = sorted(result.needs - set(there))
        if missing:
            raise Invalid("module_needs", f"{package.name} needs {_listed(missing)}: add them in the same command.")
    texts = {Module(one.name, one.version, one.integrity, one.licence): linked[one].code for one in wanted}
    notices = {}
    for one, files in fetched.items():
        own = [text for path, text in files.items() if "/" not in path and not path.endswith((".js", ".json", ".cjs"))]
        head = f"{one.name}@{one.version}\nLicence: {one.licence or 'not stated'}\n\n"
        notices[f"{one.name}@{one.version}"] = head + "\n".join(own).strip()
    write_texts(texts)
    new_library = Library.of([*kept, *texts])
    try:
        prepare(new_library)
    except EngineUnavailable as fault:
        raise Invalid("not_loadable", f"Nothing was installed: {fault}.") from None
    # the notices of modules that stay, and the new ones
    path = folder() / "THIRD-PARTY.txt"
    before = path.read_text().split(_RULER)[1:] if path.exists() else []
    names = {f"{module.name}@{module.version}" for module in kept}
    stay = [notice for notice in before if notice.split("\n", 1)[0] in names]
    publish(new_library, _RULER.join([_HEAD, *stay, *notices.values()]))
    return list(texts)


_RULER = "\n\n" + "-" * 80 + "\n\n"
_HEAD = "Modules that rules of this installation may require, with their licences."


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
