"""Commands about the modules of rules."""

from __future__ import annotations

import signal
import sys

import click

from .command_errors import CommandError, setup_django


@click.group()
def rules() -> None:
    """Manage what rules may use."""
    setup_django()


@rules.group()
def modules() -> None:
    """Manage the modules that rules may require()."""


@modules.command("install")
@click.option("--within", type=click.IntRange(min=1), help="Fail after so many seconds.")
def modules_install(within: int | None) -> None:
    """Fetch the curated modules that are missing."""
    from regulars.rules.modules.install import install_curated

    signal.signal(signal.SIGALRM, _too_late)
    signal.alarm(within or 0)
    try:
        sys.exit(0 if install_curated(click.echo) else 1)
    finally:
        signal.alarm(0)


def _too_late(number: int, frame: object) -> None:
    raise CommandError("registry_too_slow", "The npm registry takes too long. Nothing was installed.")


@modules.command("add")
@click.argument("specs", nargs=-1, required=True, metavar="NAME@VERSION…")
def modules_add(specs: tuple[str, ...]) -> None:
    """Fetch modules from the npm registry and pin them."""
    from regulars.rules.modules.install import add

    for module in add(specs):
        click.echo(f"{module.name}@{module.version} ({module.licence or 'licence not stated'}) {module.integrity}")


@modules.command("list")
def modules_list() -> None:
    """List the installed modules with their licences."""
    from regulars.rules.sandbox.library import library

    for module in library().modules:
        click.echo(f"{module.name}@{module.version}  {module.licence or 'licence not stated'}")
