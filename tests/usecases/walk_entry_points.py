"""Find every entry point of the program: addresses, operations of the API, commands, jobs and periodic tasks."""

from __future__ import annotations

from collections.abc import Iterator

import click
from django.urls import URLPattern, URLResolver, get_resolver

import regulars.interfaces.worker.work  # noqa: F401 - registers every job and periodic task
from regulars.base.jobs.schedule import SCHEDULE
from regulars.base.jobs.tasks import HANDLERS
from regulars.cli.__main__ import main
from regulars.serving.api_urls import api


def entry_points() -> set[str]:
    """Return the name of each: `/me`, `GET /api/v2/users`, `regulars erase`, `job deliver`, `task retention`."""
    operations = {
        f"{method} /api{prefix}{path}".replace("//", "/")
        for prefix, router in api._routers
        for path, view in router.path_operations.items()
        for operation in view.operations
        for method in operation.methods
    }
    addresses = {each for each in _addresses(get_resolver().url_patterns) if not each.startswith("/api/")}
    commands = {f"regulars {each}" for each in _commands(main)}
    return (
        operations
        | addresses
        | {"/api/openapi.json", "/healthz", "/readyz", "/v1"}
        | commands
        | {f"job {kind}" for kind in HANDLERS}
        | {f"task {name}" for name in SCHEDULE}
    )


def _addresses(patterns: list[URLPattern | URLResolver], before: str = "/") -> Iterator[str]:
    for each in patterns:
        if isinstance(each, URLResolver):
            yield from _addresses(each.url_patterns, f"{before}{each.pattern}")
        else:
            yield f"{before}{each.pattern}"


def _commands(group: click.Group, before: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}"
