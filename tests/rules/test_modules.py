"""Modules that rules may require: fetched, checked, linked and baked from a registry of this machine."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.receivers import Answer, Receiver, receiving

from regulars.base.errors import DomainError
from regulars.cli.__main__ import main
from regulars.rules.modules import install
from regulars.rules.modules import registry as registry_
from regulars.rules.modules.curated import CURATED, PinnedModule
from regulars.rules.modules.link import link
from regulars.rules.modules.registry import registry
from regulars.rules.run import try_rule
from regulars.rules.sandbox.library import folder, library
from regulars.rules.save import BadScript, save_rule, warnings

CHIKA = {"user_id": "auth0|chika"}
GREETING = {
    "package.json": '{"name": "greeting", "version": "2.1.0", "main": "lib"}',
    "lib/index.js": "const words = require('./words.json'); module.exports = (who) => words.hello + ' ' + require('../util')(who);",
    "lib/words.json": '{"hello": "Hej"}',
    "util.js": "// require('./gone')\nmodule.exports = (text) => text.toUpperCase();",
    "LICENSE": "Do as you like.",
    "bin/tool": "not text",
}


def tarball(files: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for path, text in files.items():
            about = tarfile.TarInfo(f"package/{path}")
            about.size = len(text.encode())
            archive.addfile(about, io.BytesIO(text.encode()))
    return out.getvalue()


def about(name: str, version: str, data: bytes) -> bytes:
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
    place = f"https://elsewhere.example/{name}/-/{name}-{version}.tgz"
    return json.dumps(
        {"version": version, "license": "0BSD", "dist": {"integrity": integrity, "tarball": place}}
    ).encode()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose compiled code serves every test here."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def home(settings: Any, place: Path) -> None:
    """A home without any module."""
    settings.HOME = place
    shutil.rmtree(folder())


@pytest.fixture
def npm(home: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A registry with one module."""
    data = tarball(GREETING)
    with receiving(Answer(body=about("greeting", "2.1.0", data)), Answer(body=data)) as server:
        monkeypatch.setenv("NPM_CONFIG_REGISTRY", server.url)
        yield server


def test_a_module_is_fetched_checked_linked_and_required(npm: Receiver, db: None) -> None:
    (module,) = install.add(["greeting@2.1.0"])

    trial = try_rule("function (u, c, cb) { c.idToken.a = require('greeting')('chika'); cb(null, u, c); }", CHIKA, {})
    assert (trial.error, trial.outcome.id_token_claims) == ("", {"a": "Hej CHIKA"})
    assert [one.path for one in npm.received] == ["/greeting/2.1.0", "/greeting/-/greeting-2.1.0.tgz"]
    assert (module.version, module.licence) == ("2.1.0", "0BSD")
    assert "Do as you like." in (folder() / "THIRD-PARTY.txt").read_text()


def test_a_part_of_lodash_is_its_function(npm: Receiver, db: None) -> None:
    data = tarball({"package.json": '{"main": "lodash.js"}', "lodash.js": "exports.get = (of, name) => of[name];"})
    npm.answers[:] = [Answer(body=about("lodash", "4.17.20", data)), Answer(body=data)]
    install.add(["lodash@4.17.20"])
    script = "function (u, c, cb) { c.idToken.a = require('lodash/get')(u, 'user_id'); cb(null, u, c); }"

    assert save_rule("part", script=script).pk
    assert try_rule(script, CHIKA, {}).outcome.id_token_claims == {"a": "auth0|chika"}
    assert "Cannot find module 'lodash/fp'" in try_rule(script.replace("/get", "/fp"), CHIKA, {}).error


def test_another_minor_version_is_served_with_a_warning_and_another_major_is_refused(npm: Receiver, db: None) -> None:
    install.add(["greeting@2.1.0"])
    asking = "function (u, c, cb) {\n  c.idToken.a = require('greeting@%s')('x'); cb(null, u, c); }"

    assert save_rule("near", script=asking % "2.0.3").pk
    assert warnings(asking % "2.0.3") == ["Line 2: greeting 2.1.0 is used instead of 2.0.3."]
    assert warnings(asking % "2.1.0") == []
    with pytest.raises(BadScript) as refused:
        save_rule("far", script=asking % "1.0.0")
    assert (refused.value.code, refused.value.line) == ("unknown_module", 2)


def test_ours_are_served_whatever_version_is_asked_for(home: None, db: None) -> None:
    assert save_rule(
        "old", script="function (u, c, cb) { require('request@2.56.0'); require('axios@0.21.1'); cb(); }"
    ).pk


def test_a_module_that_is_not_what_was_pinned_is_not_used(npm: Receiver) -> None:
    npm.answers[1] = Answer(body=tarball({**GREETING, "util.js": "steal()"}))

    with pytest.raises(DomainError) as refused:
        install.add(["greeting@2.1.0"])

    assert refused.value.code == "wrong_content"
    assert library().modules == ()


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"package.json": '{"dependencies": {"left": "1"}}', "index.js": "require('left')"}, "module_needs"),
        ({"package.json": '{"type": "module"}', "index.js": "export default 1"}, "not_linkable"),
        ({"package.json": '{"main": "gone.js"}'}, "not_linkable"),
        ({"index.js": "throw new Error('no')"}, "not_loadable"),
        ({"index.js": "this is not JavaScript"}, "not_loadable"),
        ({"index.js": "module.exports = Math.random()"}, "not_loadable"),
        ({"index.js": "require('crypto').randomBytes(4)"}, "not_loadable"),
    ],
)  # fmt: skip
def test_a_module_that_cannot_serve_is_refused_by_name_and_nothing_changes(
    npm: Receiver, files: dict[str, str], name: str
) -> None:
    data = tarball(files)
    npm.answers[:] = [Answer(body=about("greeting", "2.1.0", data)), Answer(body=data)]

    with pytest.raises(DomainError) as refused:
        install.add(["greeting@2.1.0"])

    assert refused.value.code == name
    assert library().modules == ()


@pytest.mark.parametrize(
    ("answers", "name"),
    [
        ([Answer(404)], "unknown_module"),
        ([Answer(503)], "registry_unreachable"),
        ([Answer(body=b"<html>")], "unknown_module"),
        ([Answer(body=about("greeting", "2.1.0", b"x")), Answer(body=b"x")], "not_a_package"),
    ],
)
def test_a_registry_that_answers_badly_is_named(npm: Receiver, answers: list[Answer], name: str) -> None:
    npm.answers[:] = answers

    with pytest.raises(DomainError) as refused:
        install.add(["greeting@2.1.0"])

    assert refused.value.code == name


@pytest.mark.parametrize(("spec", "name"), [("greeting", "no_version"), ("axios@1.0.0", "already_ours")])
def test_what_is_asked_for_wrongly_is_refused_by_name(home: None, spec: str, name: str) -> None:
    with pytest.raises(DomainError) as refused:
        install.add([spec])

    assert refused.value.code == name


def test_without_a_registry_everything_starts_and_rules_that_need_a_module_are_refused_by_name(
    home: None, db: None
) -> None:
    said: list[str] = []

    assert not install.install_curated(said.append)
    assert "lodash" in said[-1]
    assert "regulars rules modules install" in said[-1]
    with pytest.raises(BadScript) as refused:
        save_rule("needs lodash", script="function (u, c, cb) {\n const _ = require('lodash@4.17.10');\n}")
    assert (refused.value.code, refused.value.line) == ("module_not_installed", 2)


def test_the_curated_are_fetched_once(npm: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tarball(GREETING)
    pinned = json.loads(about("greeting", "2.1.0", data))["dist"]["integrity"]
    locked = PinnedModule("greeting", "2.1.0", pinned, "greeting/-/greeting-2.1.0.tgz", "0BSD")
    monkeypatch.setattr(install, "CURATED", {"greeting": locked})
    npm.answers[:] = [Answer(body=data)]

    assert install.install_curated(lambda _: None)
    assert install.install_curated(lambda _: None)
    assert len(npm.received) == 1


def test_the_lock_file_pins_by_sha512_and_names_no_host() -> None:
    for one in CURATED.values():
        assert one.integrity.startswith("sha512-")
        assert one.tarball.startswith(f"{one.name}/-/")
        assert one.licence


@pytest.fixture
def nowhere(home: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without a configured npm registry. Returns the home folder of its user."""
    monkeypatch.delenv("NPM_CONFIG_REGISTRY", raising=False)
    monkeypatch.delenv("npm_config_registry", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path


def npm_says(nowhere: Path, shell: str) -> None:
    (nowhere / "bin/npm").write_text(f"#!/bin/sh\n{shell}\n")
    (nowhere / "bin/npm").chmod(0o700)


def test_the_registry_is_the_one_that_npm_would_ask(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm_says(nowhere, "echo https://npm.example/")
    assert registry() == "https://npm.example/"

    (nowhere / ".npmrc").write_text("fund=false\nregistry = https://own.example\n")
    assert registry() == "https://own.example/"

    (nowhere / "project/.npmrc").write_text("registry=https://project.example/npm/\n")
    assert registry() == "https://project.example/npm/"

    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "https://mirror.example/npm")
    assert registry() == "https://mirror.example/npm/"


@pytest.mark.django_db  # commands refuse a database of a newer version
@pytest.mark.parametrize("npm", ["", "echo undefined", "exit 1", "exec /bin/sleep 60"])
def test_without_any_registry_the_command_says_how_to_name_one(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, npm: str
) -> None:
    monkeypatch.setattr(registry_, "NPM_TIMEOUT", 0.2)
    if npm:
        npm_says(nowhere, npm)

    said = CliRunner().invoke(main, ["rules", "modules", "install"])

    assert said.exit_code == 1
    assert "(no_registry)" in said.output
    assert "npm_config_registry" in said.output
    assert ".npmrc" in said.output


@pytest.mark.django_db
def test_a_registry_that_drips_is_given_up(npm: Receiver) -> None:
    npm.answers[:] = [Answer(wait=5.0)]

    said = CliRunner().invoke(main, ["rules", "modules", "install", "--within", "1"])

    assert (said.exit_code, "(registry_too_slow)" in said.output) == (1, True)


@pytest.mark.django_db
def test_the_command_line_adds_and_lists(npm: Receiver) -> None:
    added = CliRunner().invoke(main, ["rules", "modules", "add", "greeting@2.1.0"])
    listed = CliRunner().invoke(main, ["rules", "modules", "list"])
    refused = CliRunner().invoke(main, ["rules", "modules", "add", "greeting"])

    assert added.output.startswith("greeting@2.1.0 (0BSD) sha512-")
    assert listed.output == "greeting@2.1.0  0BSD\n"
    assert (refused.exit_code, "(no_version)" in refused.output) == (1, True)


def test_files_that_ask_for_each_other_in_a_circle_are_linked_once() -> None:
    linked = link({"index.js": "exports.a = 1; require('./b')", "b.js": "require('./index'); require('other')"})

    assert linked.code.count('"b.js": [') == 1
    assert linked.needs == frozenset()
