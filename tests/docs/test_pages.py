"""What single documents say: snippets in other languages, lists that follow the code, example conditions."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess

import pytest
from tests.docs.blocks import ROOT, blocks_of
from tests.live import ask, wait_for
from tests.ports import reserve_ports
from tests.receivers import Answer, receiving

from regulars.base import clock
from regulars.cli.__main__ import main
from regulars.destinations.kind import KINDS
from regulars.destinations.kinds import webhook
from regulars.segments.count import count
from regulars.segments.save import save_segment
from regulars.serving.certificate import ensure_certificate
from regulars.usecases.lake import fill_lake

SERVICE = "docs/operator/proxy-and-service.md"
BACKUPS = "docs/operator/backups.md"
CHECKOUT, HOME = "/opt/regulars", "/srv/regulars"


def block_texts(document: str, language: str) -> list[str]:
    return [each.text for each in blocks_of(ROOT / document) if each.language == language and not each.reason]


def test_webhook_snippet_verifies_what_regulars_signs_and_nothing_else():
    [text] = block_texts("docs/developer/webhooks.md", "python")
    program: dict[str, object] = {}
    exec(text, program)
    verify = program["verify"]
    secret, body, now = "whsec_" + "c2VjcmV0" * 5, b'{"type":"segment.entered"}', int(clock.now().timestamp())

    def headers(moment: int = now, of: bytes = body) -> dict[str, str]:
        signature = webhook.signature(secret, "msg_1", moment, of)
        return {"webhook-id": "msg_1", "webhook-timestamp": str(moment), "webhook-signature": f"v1,AAAA {signature}"}

    assert verify(secret, headers(), body) is True
    assert verify(secret, headers(of=b"{}"), body) is False
    assert verify(secret, headers(now - 301), body) is False
    assert verify("whsec_" + "b3RoZXJz" * 5, headers(), body) is False


@pytest.mark.parametrize("key", sorted(KINDS))
def test_every_kind_of_destination_has_its_set_up(key):
    sections = dict(
        re.findall(r"^## (.+)\n((?:(?!## ).*\n)*)", (ROOT / "docs/marketer/set-up-destinations.md").read_text(), re.M)
    )
    kind = KINDS[key]

    assert [field.label for field in kind.fields if f"**{field.label}**" not in sections[kind.title]] == []


@pytest.mark.django_db
@pytest.mark.usefixtures("standard_setup", "lake")
def test_every_example_of_a_condition_counts(make_customer):
    make_customer(gender="female", city="Berlin")
    fill_lake({})
    save_segment("Jacket viewers", "gender:female", "personalise")
    examples = re.findall(r"^\| `(.+?)` \|", (ROOT / "docs/marketer/segments.md").read_text(), re.MULTILINE)

    assert len(examples) > 10
    assert {text: count(text, "personalise").everybody for text in examples} == dict.fromkeys(examples, 1)


def test_nginx_as_documented_passes_the_address_of_the_client_on(tmp_path):
    [text] = block_texts(SERVICE, "nginx")
    port = reserve_ports(2)
    plain = port + 1
    made = ensure_certificate(tmp_path)
    with receiving(Answer()) as behind:
        text = text.replace("http://127.0.0.1:8000", behind.url)
        text = text.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl").replace(
            "listen 80", f"listen 127.0.0.1:{plain}"
        )
        text = re.sub(r"/etc/letsencrypt/\S+/fullchain.pem", str(made.chain), text)
        text = re.sub(r"/etc/letsencrypt/\S+/privkey.pem", str(made.key), text)
        (tmp_path / "nginx.conf").write_text(
            f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log; events {{}}\n"
            f"http {{ access_log off; client_body_temp_path {tmp_path}/body; proxy_temp_path {tmp_path}/proxy;\n"
            f"fastcgi_temp_path {tmp_path}/f; uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;\n{text}\n}}"
        )
        nginx = shutil.which("nginx") or "/usr/sbin/nginx"
        process = subprocess.Popen([nginx, "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")])
        try:
            wait_for(process, f"https://127.0.0.1:{port}/", lambda: False)
            forged = {"host": "login.shop.example", "x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "http"}
            ask("GET", f"https://127.0.0.1:{port}/authorize", headers=forged)
            moved = ask("GET", f"http://127.0.0.1:{plain}/login?a=b", headers={"host": "login.shop.example"})
        finally:
            process.terminate()
            process.wait(30)
    got = behind.received[-1].headers

    assert (got["x-forwarded-for"], got["x-forwarded-proto"]) == ("127.0.0.1", "https")
    assert got["host"] == got["x-forwarded-host"] == "login.shop.example"
    assert (moved.status_code, moved.headers["location"]) == (301, "https://login.shop.example/login?a=b")


def test_service_as_documented_starts_a_command_that_exists():
    variables, unit = block_texts(SERVICE, "ini")
    documented = re.findall(r"^\| `(\w+)`", (ROOT / "docs/operator/configuration.md").read_text(), re.MULTILINE)
    names = [line.partition("=")[0] for line in variables.splitlines()]
    parsed = configparser.ConfigParser(strict=False, interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment, method-assign]
    parsed.read_string(unit)
    program, command, *options = shlex.split(parsed["Service"]["ExecStart"])
    known = {name for each in main.commands[command].params for name in (*each.opts, *each.secondary_opts)}

    assert set(names) <= set(documented)
    assert program == f"{CHECKOUT}/.venv/bin/regulars"
    assert set(options) <= known
    assert parsed["Service"]["EnvironmentFile"] == "/etc/regulars.env"
    assert parsed["Service"]["ReadWritePaths"] == HOME


def test_crontab_as_documented_has_five_fields_a_user_and_a_command():
    [line] = block_texts(BACKUPS, "cron")[0].splitlines()

    assert re.fullmatch(r"(\S+ ){5}regulars PATH=\S+ /opt/regulars-backup", line)
