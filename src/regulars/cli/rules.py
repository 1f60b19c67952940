"""Commands about the modules of rules."""

from __future__ import annotations

import json
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
    """Fetch the curated modules that are missing, and the table of countries of internet addresses."""
    from regulars.rules.modules.country_table import install_country_table
    from regulars.rules.modules.install import install_curated

    signal.signal(signal.SIGALRM, _too_late)
    signal.alarm(within or 0)
    try:
        are_there = [install(click.echo) for install in (install_curated, install_country_table)]
        sys.exit(0 if all(are_there) else 1)
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


@rules.command("declare")
@click.argument("slug")
@click.argument("purpose")
@click.option(
    "--recipient", "recipients", multiple=True, help="NAME: host, .host, {SETTING}. Replaces the earlier ones."
)
@click.option("--sends", multiple=True, help="The key of an attribute that the rule sends.")
def declare(slug: str, purpose: str, recipients: tuple[str, ...], sends: tuple[str, ...]) -> None:
    """Declare the purpose of a rule, the recipients that it calls and what it sends."""
    from regulars.rules.declaration import recipients_from_text, undeclared_hosts
    from regulars.rules.run import configuration
    from regulars.rules.save import declare_rule

    rule = declare_rule(slug, purpose, recipients_from_text("\n".join(recipients)), sends)
    for host in undeclared_hosts(rule, configuration()):
        click.echo(f"Not declared, and called under the purpose of undeclared rules: {host}")


@rules.command("undeclared")
@click.argument("purpose")
def undeclared(purpose: str) -> None:
    """Choose the purpose under which rules call what they do not declare."""
    from regulars.rules.declaration import choose_undeclared_purpose

    choose_undeclared_purpose(purpose)


@rules.group()
def geoip() -> None:
    """Manage the places of internet addresses that rules see."""


@geoip.command("install")
def geoip_install() -> None:
    """Fetch the table of countries, unless it is there or REGULARS_GEOIP_FILE names a file of your own."""
    from regulars.rules.modules.country_table import install_country_table

    sys.exit(0 if install_country_table(click.echo) else 1)


@geoip.command("look-up")
@click.argument("address")
def geoip_look_up(address: str) -> None:
    """Print what rules see as context.request.geoip for an internet address."""
    from regulars.rules.geoip import opened, place_of

    opened()  # says that there is no database, rather than that there is no place
    click.echo(json.dumps(place_of(address), indent=2, ensure_ascii=False))
