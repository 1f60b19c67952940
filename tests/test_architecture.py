"""The layers hold: import-linter checks imports, the test here foreign keys, which a linter cannot see.

Each rule is shown to bite: a wrong import, a package outside the layers and an upward foreign key each fail.
"""

from __future__ import annotations

import ast
import importlib
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
from django.apps import apps
from django.db import models
from django.test.utils import isolate_apps

ROOT = Path(__file__).parents[1]
HTTP = re.compile(r"django\.(http|shortcuts|views)\b")
LAYERS, BASE, _ = (
    contract["layers"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    if contract["type"] == "layers"
)


def place(module: str) -> tuple[int, str] | None:
    """Return the layer (0 is the lowest) and the package of a module; None for a third-party module.

    The layers of `base` are at the bottom: `regulars.base.clock` → `(0, "clock")`.
    """
    match module.split("."):
        case ["regulars", "base", package, *_]:
            return list(reversed(BASE)).index(layer_of(package, BASE)), package
        case ["regulars", package, *_]:
            return len(BASE) + list(reversed(LAYERS)).index(layer_of(package, LAYERS)), package
    return None


def layer_of(package: str, layers: list[str]) -> str:
    return next(layer for layer in layers if package in [each.strip() for each in layer.split("|")])


def wrong_relations(ours: Iterable[type[models.Model]]) -> list[str]:
    """Return every relation that points up, or sideways into another package of the same layer."""
    wrong = []
    for model in ours:
        here = place(model.__module__)
        for field in model._meta.get_fields():
            target = field.related_model if field.is_relation and not field.auto_created else None
            there = place(target.__module__) if isinstance(target, type) else None
            if here and there and (there[0] > here[0] or (there[0] == here[0] and there[1] != here[1])):
                wrong.append(
                    f"{model.__module__}.{model.__name__}.{field.name} → {target.__module__}.{target.__name__}"
                )
    return wrong


def test_relations_point_down_the_layers() -> None:
    assert wrong_relations(apps.get_models()) == []


@isolate_apps("regulars.profiles", "regulars.segments")
def test_upward_relation_is_found() -> None:
    class Segment(models.Model):
        __module__ = "regulars.segments.models"

        class Meta:
            app_label = "segments"

    class Favourite(models.Model):
        __module__ = "regulars.profiles.models"
        segment = models.ForeignKey(Segment, on_delete=models.CASCADE)

        class Meta:
            app_label = "profiles"

    assert wrong_relations([Favourite]) == [
        "regulars.profiles.models.Favourite.segment → regulars.segments.models.Segment"
    ]


@isolate_apps("regulars.questions", "regulars.segments")
def test_relation_within_a_layer_is_found() -> None:
    class Question(models.Model):
        __module__ = "regulars.questions.models"

        class Meta:
            app_label = "questions"

    class Target(models.Model):
        __module__ = "regulars.segments.models"
        question = models.ForeignKey(Question, on_delete=models.CASCADE)

        class Meta:
            app_label = "segments"

    assert wrong_relations([Target]) == [
        "regulars.segments.models.Target.question → regulars.questions.models.Question"
    ]


@pytest.fixture
def project_copy(tmp_path: Path) -> Path:
    """A copy of the project, to break things in."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "static", "templates"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(project_copy: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter over the copy, which comes before the installed package on the path."""
    program = f"import sys; sys.path.insert(0, {str(project_copy / 'src')!r}); from importlinter.cli import lint_imports_command as lint; lint()"
    return subprocess.run(
        [sys.executable, "-c", program, "--no-cache"],
        cwd=project_copy,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_project_keeps_its_contracts(project_copy: Path) -> None:
    done = lint(project_copy)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("where", "line", "broken"),
    [
        ("profiles/resolve.py", "import regulars.segments.models", "Imports go down the layers only"),
        ("questions/policy.py", "import regulars.rules.decide", "Imports go down the layers only"),
        ("destinations/kind.py", "import regulars.plugins", "Imports go down the layers only"),
        ("base/clock.py", "import regulars.base.jobs.tasks", "Base: tools under nouns"),
        ("interfaces/console/urls.py", "import regulars.interfaces.management_api.users", "Interfaces are independent"),
        ("interfaces/api/segments.py", "import regulars.interfaces.management_api.users", "Interfaces are independent"),
        (
            "interfaces/http_api/error_responses.py",
            "import regulars.interfaces.api.questions",
            "Interfaces are independent",
        ),
        ("rules/decide.py", "import django.db", "What decides touches neither Django nor allauth"),
        ("oauth/tokens.py", "import ninja", "OAuth imports neither frameworks of HTTP nor use cases"),
        (
            "oauth/protocol_errors.py",
            "import regulars.usecases.login",
            "OAuth imports neither frameworks of HTTP nor use cases",
        ),
        ("questions/features.py", "import django.db", "What decides touches neither Django nor allauth"),
        ("questions/model.py", "import allauth.account", "What decides touches neither Django nor allauth"),
        ("questions/scoring.py", "import django.conf", "What decides touches neither Django nor allauth"),
        ("questions/policy.py", "import django.utils.timezone", "What decides touches neither Django nor allauth"),
        (
            "interfaces/collector/__init__.py",
            "import regulars.profiles.find",
            "The collector imports events and base only",
        ),
        (
            "usecases/erase.py",
            "import regulars.segments.evaluate",
            "Only the unit of work carries out what follows from a change",
        ),
        (
            "interfaces/console/urls.py",
            "import regulars.consent.refresh",
            "Only the unit of work carries out what follows from a change",
        ),
    ],
)
def test_wrong_import_fails_the_build(project_copy: Path, where: str, line: str, broken: str) -> None:
    with (project_copy / "src/regulars" / where).open("a") as file:
        file.write(f"\n{line}\n")

    done = lint(project_copy)

    assert done.returncode == 1
    assert any(broken in row and "BROKEN" in row for row in done.stdout.splitlines()), done.stdout


def http_imports(package: Path) -> list[str]:
    """Every import of Django's HTTP types and shortcuts. import-linter knows external packages by their first name only."""
    found = []
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
            found += [f"{path.name}: {name}" for name in names if HTTP.match(name)]
    return found


def test_oauth_imports_no_http_types() -> None:
    assert http_imports(ROOT / "src/regulars/oauth") == []


@pytest.mark.parametrize(
    "line", ["from django.http import HttpRequest", "from django import http", "import django.shortcuts"]
)
def test_an_import_of_http_types_is_found(tmp_path: Path, line: str) -> None:
    (tmp_path / "codes.py").write_text(line)

    assert http_imports(tmp_path)


def test_package_outside_the_layers_fails_the_build(project_copy: Path) -> None:
    attic = project_copy / "src/regulars/attic"
    attic.mkdir()
    (attic / "__init__.py").write_text("")

    done = lint(project_copy)

    assert done.returncode == 1
    assert "attic" in done.stdout


# Functions that change customers, in modules that others import for something else: an import contract cannot tell.
UNIT_OF_WORK = Path("usecases/unit_of_work.py")
FOR_THE_UNIT_OF_WORK = {
    "regulars.consent.record": {"record", "record_all"},
    "regulars.destinations.follow": {"follow_disclosures"},
    "regulars.destinations.queue": {"queue_changes"},
    "regulars.profiles.learn": {"learn", "learn_all", "retract"},
}


def imports_past_the_unit_of_work(source: Path) -> list[str]:
    """Every import of such a function outside the unit of work and the package that defines it."""
    found = []
    for path in sorted(source.rglob("*.py")):
        where = path.relative_to(source)
        if where == UNIT_OF_WORK:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.ImportFrom(module=str(module), level=0):
                    names = FOR_THE_UNIT_OF_WORK.get(module, set()).intersection(alias.name for alias in node.names)
                    found += [f"{where.as_posix()}: {module}.{name}" for name in sorted(names)]
                case ast.Import():
                    found += [f"{where.as_posix()}: {a.name}" for a in node.names if a.name in FOR_THE_UNIT_OF_WORK]
    return found


def test_only_the_unit_of_work_writes_facts_decisions_and_deliveries() -> None:
    assert imports_past_the_unit_of_work(ROOT / "src/regulars") == []


@pytest.mark.parametrize(
    "line", ["from regulars.profiles.learn import NewFact, learn", "import regulars.destinations.queue"]
)
def test_a_write_past_the_unit_of_work_is_found(tmp_path: Path, line: str) -> None:
    (tmp_path / "usecases").mkdir()
    (tmp_path / UNIT_OF_WORK).write_text(line)
    (tmp_path / "usecases/enrich.py").write_text(line)

    assert len(imports_past_the_unit_of_work(tmp_path)) == 1


def test_the_guarded_functions_exist() -> None:
    for module, names in FOR_THE_UNIT_OF_WORK.items():
        assert names <= vars(importlib.import_module(module)).keys()
