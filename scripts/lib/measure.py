"""Measures the structure of the code base and prints it as Markdown: a table of figures, and the lists behind them.

Run it by `scripts/measure`. What the figures mean:

- *Lines* are lines of a file as `wc -l` counts them. Migrations are left out, except from the count of words.
- *Modules that touch neither request nor response*: modules of the interface package that neither import nor name anything
  of HTTP. Read from the syntax tree, each of these makes a module one that touches HTTP:
    - an import from `django.http`, `django.shortcuts` or `django.views`, from ninja, starlette or granian, or of what
      declares routes from `django.urls` (`path`, `re_path`, `include`, `URLPattern`, `URLResolver`);
    - an import, from outside the project, of a name that ends in Request or Response (Authlib's `OAuth2Request`);
    - a name or attribute among `WEB_NAMES`, such as HttpRequest or JsonResponse;
    - a parameter, variable or attribute called `request`;
    - a function with the parameters `receive` and `send` (ASGI).
  A type of the project's own such as `AuthorizationRequest` is no sign of HTTP: it may be a message of a protocol. Empty
  `__init__.py`, `models.py` and `apps.py` are not asked. Template tags and forms may be listed: they make text, not answers.
- *Private functions* are functions of a module, not methods, whose names begin with one underscore. A use is a name that is
  read in the same module (by the function itself too: what calls itself cannot be inlined), or an import of it by another
  module of the package. A decorated function without a use is registered by its decorator and is not counted.
- *Files and functions of a flow*: those of the package that run during the call of the named tests. Each test runs twice in
  one process and is recorded the second time, when imports are done and caches are filled. Fixtures are not recorded. A
  comprehension belongs to the function it stands in.
- *Old words* are whole words in any case, where `_`, digits and the humps of camelCase end a word too. Of catalogues of
  translations only the distinct msgids count, once for all languages. Minified files are left out; migrations are not.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import io
import re
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

# The tests of each flow, without parameters in brackets. When one of them is renamed or moved, edit this table.
FLOWS = {
    "social login with a question": [
        "tests/login/test_social.py::test_chosen_and_granted_claims_are_learned_with_source_and_consent",
        "tests/oidc/test_interactions.py::test_a_live_session_is_asked_and_goes_on_to_the_app_with_its_answer",
    ],
    "event to a destination": [
        "tests/usecases/test_process_event.py::test_event_changes_segments_at_once",
        "tests/usecases/test_deliver.py::test_entering_and_leaving_are_delivered_in_order",
    ],
    "PATCH of a user": [
        "tests/management_api/test_users.py::test_metadata_merges_on_its_first_level_only",
    ],
}

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src" / "regulars"
INTERFACES = next((SRC / name for name in ("interfaces", "doors") if (SRC / name).is_dir()), SRC / "interfaces")

SKIPPED_FOLDERS = {"__pycache__", "node_modules", ".venv"}

WEB_PACKAGES = re.compile(r"(django\.(http|shortcuts|views)|ninja|starlette|granian)(\.|$)")
ROUTE_NAMES = {"path", "re_path", "include", "URLPattern", "URLResolver"}
WEB_NAMES = re.compile(
    r"Http(Request|Response\w*)|(Json|Streaming\w*|File|Template|SimpleTemplate|Redirect)Response"
    r"|Request|Response|(WSGI|ASGI)Request|RequestContext|NinjaAPI|Router|QueryDict|request"
)
FOREIGN_WEB_NAMES = re.compile(r"\w*(Request|Response)")

OLD_WORDS = (
    *("she", "her", "hers", "herself", "house", "door", "doors", "floor", "room"),
    *("stranger", "told", "whoever", "somebody", "nobody"),
)
OLD_WORD = re.compile(rf"(?<![a-z])({'|'.join(OLD_WORDS)})(?![a-z])", re.IGNORECASE)
HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
MSGID = re.compile(r'^msgid(?:_plural)? (".*"(?:\n".*")*)', re.MULTILINE)
WORDY_SUFFIXES = {".py", ".html", ".toml", ".js", ".mjs", ".txt", ".po", ".md"}
AREAS = {
    "src": ["src"],
    "tests": ["tests"],
    "docs": ["docs", "examples", "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"],
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Module:
    """A Python file of the package."""

    path: Path
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, str(self.path))

    @property
    def lines(self) -> int:
        return self.text.count("\n")

    @property
    def place(self) -> str:
        return self.path.relative_to(SRC).as_posix()

    @property
    def dotted(self) -> str:
        """The name by which other modules import it."""
        parts = ("regulars", *self.path.relative_to(SRC).with_suffix("").parts)
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def functions(self) -> Iterator[Function]:
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))

    def source_of(self, node: ast.ImportFrom) -> str:
        """The full name of the module that is imported from, also when it is written with dots."""
        if not node.level:
            return node.module or ""
        package = self.dotted.split(".")
        if self.path.name != "__init__.py":
            package = package[:-1]
        package = package[: len(package) - node.level + 1]
        return ".".join([*package, *([node.module] if node.module else [])])


def files(place: Path, suffixes: Iterable[str]) -> Iterator[Path]:
    if place.is_file():
        yield place
        return
    for path in sorted(place.rglob("*")):
        if path.suffix in suffixes and path.is_file() and not SKIPPED_FOLDERS.intersection(path.parts):
            yield path


def modules_of(package: Path) -> list[Module]:
    paths = (path for path in files(package, {".py"}) if "migrations" not in path.parts)
    return [Module(path, path.read_text()) for path in paths]


# Modules that touch neither request nor response


def touches_http(module: Module) -> bool:
    return any(_is_of_http(node, module) for node in ast.walk(module.tree))


def _is_of_http(node: ast.AST, module: Module) -> bool:
    match node:
        case ast.Import(names):
            return any(WEB_PACKAGES.match(alias.name) for alias in names)
        case ast.ImportFrom(names=names):
            return _imports_http(module.source_of(node), {alias.name for alias in names})
        case ast.Name(name) | ast.Attribute(attr=name) | ast.keyword(arg=str(name)):
            return bool(WEB_NAMES.fullmatch(name))
        case ast.arguments():
            named = {argument.arg for argument in (*node.posonlyargs, *node.args, *node.kwonlyargs)}
            return "request" in named or named >= {"receive", "send"}
    return False


def _imports_http(source: str, names: set[str]) -> bool:
    if source == "django.urls":
        return bool(names & ROUTE_NAMES)
    if source.split(".")[0] != "regulars" and any(FOREIGN_WEB_NAMES.fullmatch(name) for name in names):
        return True
    return any(WEB_PACKAGES.match(full) for full in (source, *(f"{source}.{name}" for name in names)))


def without_http(modules: list[Module]) -> list[Module]:
    """Modules of the interface package that could stand elsewhere."""
    return [
        module
        for module in modules
        if module.path.is_relative_to(INTERFACES)
        and module.path.name not in {"models.py", "apps.py"}
        and (module.path.name != "__init__.py" or any(not isinstance(node, ast.Expr) for node in module.tree.body))
        and not touches_http(module)
    ]


# Private functions


@dataclass
class Helpers:
    """Private functions of modules: how many there are, are used once, and are used once and short."""

    total: int = 0
    used_once: int = 0
    short: int = 0


def count_helpers(modules: list[Module]) -> Helpers:
    elsewhere = Counter(
        (module.source_of(node), alias.name)
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    )
    counted = Helpers()
    for module in modules:
        names = (node for node in ast.walk(module.tree) if isinstance(node, ast.Name))
        reads = Counter(name.id for name in names if isinstance(name.ctx, ast.Load))
        for node in module.tree.body:
            if not isinstance(node, Function) or not node.name.startswith("_") or node.name.startswith("__"):
                continue
            uses = reads[node.name] + elsewhere[module.dotted, node.name]
            if node.decorator_list and not uses:
                continue
            counted.total += 1
            if uses == 1:
                counted.used_once += 1
                counted.short += _lines_of_body(node) <= 3
    return counted


def _lines_of_body(function: Function) -> int:
    """Lines of what it does, its docstring left out."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


# Flows


class Recorder:
    """A plug-in of pytest that runs each test twice and records, the second time, which functions of the package run."""

    def __init__(self) -> None:
        self.functions: dict[str, set[tuple[str, str]]] = defaultdict(set)
        self._known: dict[CodeType, tuple[str, str] | None] = {}

    @pytest.fixture
    def measured(self, request: pytest.FixtureRequest) -> bool:
        return bool(request.param)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        metafunc.fixturenames.append("measured")
        metafunc.parametrize("measured", [False, True], ids=["warm-up", "measured"], indirect=True)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Function) -> Iterator[None]:
        if not item.callspec.params["measured"]:
            yield
            return
        reached = self.functions[item.nodeid.partition("[")[0]]

        def note(frame: FrameType, event: str, _: Any) -> None:
            if event == "call" and (name := self._name_of(frame.f_code)):
                reached.add(name)

        threading.setprofile(note)
        sys.setprofile(note)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    def _name_of(self, code: CodeType) -> tuple[str, str] | None:
        """File and qualified name; nothing for code of others, and for the bodies of modules."""
        if code not in self._known:
            name = re.sub(r"(\.<locals>\.<(listcomp|setcomp|dictcomp|genexpr)>)+$", "", code.co_qualname)
            ours = code.co_filename.startswith(f"{SRC}/") and not name.startswith("<module>")
            self._known[code] = (code.co_filename, name) if ours else None
        return self._known[code]


def trace_flows() -> dict[str, list[set[tuple[str, str]]]]:
    """The functions that each test of each flow reaches."""
    tests = [test for flow in FLOWS.values() for test in flow]
    for test in tests:
        file, _, name = test.partition("::")
        if not (ROOT / file).is_file() or not re.search(rf"^def {re.escape(name)}\(", (ROOT / file).read_text(), re.M):
            sys.exit(f"There is no test {test}. FLOWS in scripts/lib/measure.py names the tests of each flow.")
    recorder, said = Recorder(), io.StringIO()
    with contextlib.redirect_stdout(said):
        result = pytest.main(["-q", "-n0", "-p", "no:cacheprovider", *tests], plugins=[recorder])
    if result or set(recorder.functions) != set(tests):
        sys.exit(f"{said.getvalue()}\nThe tests of the flows did not run as they should.")
    return {flow: [recorder.functions[test] for test in tests] for flow, tests in FLOWS.items()}


# Words and names


def count_words(places: list[str]) -> Counter[str]:
    words: Counter[str] = Counter()
    msgids: set[str] = set()
    for place in places:
        for path in files(ROOT / place, WORDY_SUFFIXES):
            text = path.read_text()
            if path.suffix == ".po":
                msgids.update(MSGID.findall(text))
            elif not path.name.endswith(".min.js"):
                words.update(_old_words(text))
    for msgid in msgids:
        words.update(_old_words(msgid))
    return words


def _old_words(text: str) -> Iterator[str]:
    return (word.lower() for word in OLD_WORD.findall(HUMP.sub(" ", text)))


def repeated_classes(modules: list[Module]) -> dict[str, list[str]]:
    places = defaultdict(list)
    for module in modules:
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef) and node.name != "Meta":
                places[node.name].append(module.place)
    return {name: found for name, found in sorted(places.items()) if len(found) > 1}


def repeated_files(modules: list[Module]) -> dict[str, list[str]]:
    places = defaultdict(list)
    for module in modules:
        if module.path.name not in {"__init__.py", "models.py", "apps.py", "urls.py"}:
            places[module.path.name].append(module.place)
    return {name: found for name, found in sorted(places.items()) if len(found) > 1}


# The report


def spread(values: list[int]) -> str:
    """The median, the 95th percentile and the largest."""
    ordered = sorted(values)
    return " / ".join(str(ordered[min(int(len(ordered) * part), len(ordered) - 1)]) for part in (0.5, 0.95, 1))


def count_tests() -> int:
    return sum(len(re.findall(r"^\s*def test_", path.read_text(), re.M)) for path in files(ROOT / "tests", {".py"}))


def figures(modules: list[Module]) -> Iterator[tuple[str, str]]:
    lines = sum(module.lines for module in modules)
    interfaces = [module for module in modules if module.path.is_relative_to(INTERFACES)]
    inside = sum(module.lines for module in interfaces)
    placeless = without_http(modules)
    elsewhere = sum(module.lines for module in placeless)
    untyped = sum(module.text.count("dict[str, Any]") for module in modules)
    helpers = count_helpers(modules)
    lengths = [(node.end_lineno or 0) - node.lineno + 1 for module in modules for node in module.functions]

    yield "Python files", f"{len(modules):,}"
    yield "Python lines", f"{lines:,}"
    yield f"lines in `{INTERFACES.name}`", f"{inside:,} in {len(interfaces)} files = {inside / lines:.1%}"
    yield "of these in modules that touch neither request nor response", f"{elsewhere:,} in {len(placeless)} files"
    yield "`dict[str, Any]`", f"{untyped} = {1000 * untyped / lines:.1f} per 1,000 lines"
    yield "private functions of modules", f"{helpers.total:,}"
    yield "of these with one use", f"{helpers.used_once:,}"
    yield "of these with at most 3 lines of body", f"{helpers.short:,}"
    yield "functions: p50 / p95 / longest, lines", f"{spread(lengths)} ({len(lengths):,} functions)"
    yield "files: p50 / p95 / longest, lines", spread([module.lines for module in modules])
    yield "class names defined more than once", str(len(repeated_classes(modules)))
    yield "file names used more than once", str(len(repeated_files(modules)))
    yield "`def test_` in tests", f"{count_tests():,}"


def flow_figures() -> Iterator[tuple[str, str]]:
    for flow, tests in trace_flows().items():
        functions = set().union(*tests)
        parts = " + ".join(str(len(test)) for test in tests)
        shown = f" ({parts} by test)" if len(tests) > 1 else ""
        yield f"{flow}: files, functions", f"{len({file for file, _ in functions})}, {len(functions)}{shown}"


def print_table(head: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> None:
    print("|", " | ".join(head), "|")
    print("|", " | ".join(["---", *["--:"] * (len(head) - 1)]), "|")
    for row in rows:
        print("|", " | ".join(str(cell) for cell in row), "|")


def print_places(title: str, places: dict[str, list[str]]) -> None:
    print(f"\n## {title}\n")
    for name, found in sorted(places.items(), key=lambda item: (-len(item[1]), item[0])):
        print(f"- `{name}` ({len(found)}): {', '.join(found)}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/measure", description="Measures the structure of the code base.")
    parser.add_argument("--static", action="store_true", help="do not trace the flows, which runs tests")
    traced = not parser.parse_args().static
    modules = modules_of(SRC)
    print_table(("name", "value"), [*figures(modules), *(flow_figures() if traced else ())])

    words = {area: count_words(places) for area, places in AREAS.items()}
    print("\n## Old words\n")
    rows = [(word, *(words[area][word] for area in AREAS)) for word in OLD_WORDS]
    print_table(("word", *AREAS), [*rows, ("all", *(words[area].total() for area in AREAS))])

    print(f"\n## Modules in `{INTERFACES.name}` that touch neither request nor response\n")
    for module in without_http(modules):
        print(f"- {module.place} ({module.lines})")
    print_places("Class names defined more than once", repeated_classes(modules))
    print_places("File names used more than once", repeated_files(modules))


if __name__ == "__main__":
    main()
