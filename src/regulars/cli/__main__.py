"""The command `regulars`. Django is imported by the commands that need it, so that the one that only waits stays small."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import click

from regulars import __version__
from regulars.base.addresses import Addresses
from regulars.base.home_folder import LOCK, home, locked, make_home, refuse_unfinished_restore
from regulars.serving.certificate_renewal import CertificateRenewal
from regulars.serving.programs import programs
from regulars.serving.supervise import Supervisor, end_with_parent
from regulars.serving.tls import Certificate

from .command_errors import CommandError, ErrorHandlingGroup, setup_django, share_home
from .keys import keys
from .mail import mail
from .privacy import COMMANDS as PRIVACY
from .rules import rules
from .staff import staff


@click.group(cls=ErrorHandlingGroup)
@click.version_option(__version__, prog_name="regulars")
def main() -> None:
    """Get to know your customers at the moment they log in."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "regulars.settings")


@main.command()
@click.option("--port", default=8000, show_default=True, help="The port of Regulars; the demo uses the next two.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--home", type=click.Path(path_type=Path), help="The folder of data and keys. Default: $REGULARS_HOME or ./home"
)
@click.option("--demo/--no-demo", default=True, help="The shop Harbour & Pine with invented customers.")
@click.option("--https", is_flag=True, help="Serve https, with a certificate for localhost made by this installation.")
def start(port: int, host: str, home: Path | None, demo: bool, https: bool) -> None:
    """Set up what is missing, then run everything until stopped."""
    addresses = Addresses.on_localhost(port, https=https)
    if https and not addresses.regulars.startswith("https://"):
        raise CommandError(
            "url_is_not_https", "REGULARS_URL begins with http://. With --https it must begin with https://."
        )
    environment = dict(os.environ)
    environment["REGULARS_HOME"] = str((home or Path(os.environ.get("REGULARS_HOME", "home"))).resolve())
    environment.setdefault("REGULARS_URL", addresses.regulars)
    environment["REGULARS_DEMO"] = "1" if demo else ""
    if demo:  # the controller of the invented customers
        environment.setdefault("REGULARS_CONTROLLER", "Harbour & Pine")
    certificate = Certificate.of(Path(environment["REGULARS_HOME"])) if https else None
    if certificate:  # the programs beside this one on the machine show a certificate of the same authority
        others = environment.get("REGULARS_CA_FILES", "")
        environment["REGULARS_CA_FILES"] = os.pathsep.join(filter(None, [others, str(certificate.authority)]))
    ports = {port, *([addresses.port_of(addresses.shop), addresses.port_of(addresses.mock_services)] if demo else [])}
    for each in sorted(ports):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, each))
            except OSError as fault:
                raise CommandError(
                    "port_in_use", f"Port {each} cannot be used: {fault.strerror}. Choose another with --port."
                ) from None
    folder = Path(environment["REGULARS_HOME"])
    make_home(folder)
    with ExitStack() as held:
        held.enter_context(locked(folder / LOCK))  # two installations in one folder would overwrite each other's files
        refuse_unfinished_restore(folder)
        # Setup runs in a process of its own, so that this one stays small.
        options = ["--port", str(port), "--demo" if demo else "--no-demo", *(["--https"] if https else [])]
        command = [sys.executable, "-m", "regulars.cli.__main__", "setup", *options]
        if subprocess.run(command, env=environment, check=False, preexec_fn=end_with_parent).returncode:  # noqa: S603
            raise CommandError("not_set_up", "Setup failed; the reason is printed above.")
        listed = programs(addresses, environment, host, port, demo=demo, certificate=certificate, held=held)
        renewal = CertificateRenewal(certificate, listed, click.echo) if certificate else None
        code = Supervisor(listed).run(
            lambda: _answers(port, certificate),
            lambda: _welcome(environment, addresses, demo, certificate),
            renewal.look_when_due if renewal else lambda: None,
        )
    sys.exit(code)


@main.command()
@click.option("--port", default=8000, show_default=True, help="The port in addresses.")
@click.option("--demo/--no-demo", default=False, help="With the invented shop.")
@click.option("--https", is_flag=True, help="With a certificate for localhost, and https in every address.")
def setup(port: int, demo: bool, https: bool) -> None:
    """Create tables, keys, the first staff member and credentials.json. What exists stays, and what was removed stays removed."""
    import django

    make_home(home())
    refuse_unfinished_restore(home())
    share_home()
    django.setup()
    from django.conf import settings

    from regulars.operations.setup import set_up
    from regulars.serving.certificate import ensure_certificate

    if https:
        ensure_certificate(settings.HOME)
    set_up(Addresses.on_localhost(port, https=https), demo=demo, report=click.echo)


@main.command()
@click.option("--threads", default=2, show_default=True, help="Jobs that run at the same time.")
def worker(threads: int) -> None:
    """Process events and run jobs. Any number of workers may run."""
    setup_django()
    from regulars.interfaces.worker.work import Worker

    work = Worker(threads)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: work.stop())
    work.run()


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list of check, state, code and message.")
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings too.")
def doctor(as_json: bool, strict: bool) -> None:
    """Check this installation, one line per check. Exits with 1 when a check fails."""
    setup_django(during_restore=True)
    from regulars.operations.check_result import State
    from regulars.operations.doctor import run_checks

    results = list(run_checks())
    if as_json:
        click.echo(json.dumps([result.row for result in results], indent=2))
    else:
        click.echo("\n".join(result.line for result in results))
    accepted = (State.OK,) if strict else (State.OK, State.WARN)
    sys.exit(0 if all(result.state in accepted for result in results) else 1)


for command in (keys, mail, staff, rules, *PRIVACY):
    main.add_command(command)


def _answers(port: int, certificate: Certificate | None) -> bool:
    address = f"{'https' if certificate else 'http'}://127.0.0.1:{port}/healthz"
    context = ssl.create_default_context(cafile=str(certificate.authority)) if certificate else None
    try:
        with urllib.request.urlopen(address, timeout=1, context=context) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)
    except OSError:
        return False


def _welcome(environment: dict[str, str], addresses: Addresses, demo: bool, certificate: Certificate | None) -> None:
    credentials = json.loads((Path(environment["REGULARS_HOME"]) / "credentials.json").read_text())
    console = credentials["console"]
    click.echo("Regulars is ready.\n")
    click.echo(f"  Console    {console['url']}")
    if "email" in console:  # the first member of staff may be removed by now
        click.echo(f"  Sign in    {console['email']}  /  {console['password']}")
    if demo:
        click.echo(f"  Shop       {addresses.shop}/")
        click.echo(
            f"  Mocks      {addresses.mock_services}/webhooks/  (social networks with invented people, the census, a webhook receiver)"
        )
    if certificate:
        click.echo(certificate.trust_instructions())
    home, programs_here = environment["REGULARS_HOME"], Path(sys.executable).parent
    click.echo(f"\n  Keys for your own apps: {home}/credentials.json")
    click.echo(f'  Other commands: export PATH="{programs_here}:$PATH" REGULARS_HOME="{home}"; regulars --help')
    click.echo("  Stop with Ctrl-C.")


if __name__ == "__main__":
    main()
