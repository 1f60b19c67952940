"""Download from the npm registry that npm would use; trust nothing but the sha512."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote

from regulars.base.errors import DomainError, Invalid
from regulars.base.text import JsonObject

from .curated import PinnedModule

TIMEOUT = 10.0
NPM_TIMEOUT = 5.0
MAX_TARBALL = 20 << 20
MAX_TEXTS = 8 << 20
_TEXTS = re.compile(r"\.(js|cjs|json)$|(^|/)(licen[cs]e|copying|notice)[^/]*$", re.IGNORECASE)
_LINE = re.compile(r"^\s*registry\s*=\s*(\S+)\s*$", re.MULTILINE)

Files = dict[str, str]  # path in the package -> text


class NoRegistry(DomainError):
    """`no_registry`: no registry is configured."""


class Unreachable(DomainError):
    """`registry_unreachable`: the registry does not answer, or not with a module. Trying later may help."""


def registry() -> str:
    """Return the registry of this machine, with a slash at its end: from the environment, `.npmrc`, or npm.

    Raises `Invalid("no_registry")`.
    """
    given = (value for name, value in os.environ.items() if name.lower() == "npm_config_registry")
    found = next(filter(None, given), "") or _of_files() or _of_npm()
    if not found:
        raise NoRegistry(
            "no_registry",
            "No npm registry is set on this machine. Set the environment variable npm_config_registry to its address,"
            " or write registry=ADDRESS into the file .npmrc of your home.",
        )
    return found.rstrip("/") + "/"


def _of_files() -> str:
    """Read the project's file before the user's, as npm does."""
    for path in (Path.cwd() / ".npmrc", Path.home() / ".npmrc"):
        try:
            found = _LINE.search(path.read_text())
        except (OSError, UnicodeDecodeError):
            continue
        if found:
            return found[1]
    return ""


def _of_npm() -> str:
    npm = shutil.which("npm")
    if npm is None:
        return ""
    try:
        asked = [npm, "config", "get", "registry"]
        output = subprocess.run(asked, capture_output=True, text=True, timeout=NPM_TIMEOUT, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return output.stdout.strip() if output.stdout.startswith(("https://", "http://")) else ""


def find(name: str, version: str, registry_url: str) -> PinnedModule:
    """Look up one version in the registry at `registry_url`. Raises `Invalid("unknown_module" | "registry_unreachable")`."""
    try:
        about: JsonObject = json.loads(_get(f"{registry_url}{quote(name, safe='@')}/{quote(version)}"))
        tarball = str(about["dist"]["tarball"]).split("://", 1)[-1].split("/", 1)[1]
        tarball = tarball[tarball.index(f"{name}/-/") :]
        return PinnedModule(
            name, str(about["version"]), str(about["dist"]["integrity"]), tarball, str(about.get("license", ""))
        )
    except (ValueError, KeyError, TypeError, IndexError):
        raise Invalid("unknown_module", f"The registry does not know {name}@{version}.") from None


def fetch(package: PinnedModule, registry_url: str) -> Files:
    """Download the text files of a package. Raises `Invalid("wrong_content" | "not_a_package" | "registry_unreachable")`."""
    data = _tarball(package, registry_url)
    try:
        # A tarball is untrusted, whatever its checksum: text files only, up to a size
        files: Files = {}
        left = MAX_TEXTS
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
            for member in archive:
                path = member.name.partition("/")[2]
                if not member.isfile() or not _TEXTS.search(path):
                    continue
                left -= member.size
                content = archive.extractfile(member) if left > 0 else None
                if content is None:
                    raise tarfile.TarError("too much text")
                files[path] = content.read().decode()
        return files
    except (tarfile.TarError, EOFError, OSError, UnicodeDecodeError):
        raise Invalid("not_a_package", f"{package.name}@{package.version} cannot be unpacked.") from None


def fetch_file(package: PinnedModule, path: str, registry_url: str) -> bytes:
    """Download one file of a package, of any kind. Raises what `fetch` raises."""
    data = _tarball(package, registry_url)
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
            for member in archive:
                if member.isfile() and member.name.partition("/")[2] == path and member.size <= MAX_TARBALL:
                    content = archive.extractfile(member)
                    return content.read() if content else b""
    except (tarfile.TarError, EOFError, OSError):
        pass
    raise Invalid("not_a_package", f"{package.name}@{package.version} has no file {path}.")


def _tarball(package: PinnedModule, registry_url: str) -> bytes:
    data = _get(registry_url + package.tarball)
    kind, _, expected = package.integrity.partition("-")
    found = base64.b64encode(hashlib.sha512(data).digest()).decode()
    if kind != "sha512" or not hmac.compare_digest(found, expected):
        raise Invalid(
            "wrong_content", f"{package.name}@{package.version} does not match its pinned checksum; it is not used."
        )
    return data


def _get(url: str) -> bytes:
    if not url.startswith(("https://", "http://")):
        raise Unreachable("registry_unreachable", "The address of the npm registry is not a web address.")
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:  # noqa: S310 - the operator's own address
            data: bytes = answer.read(MAX_TARBALL + 1)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            raise Invalid("unknown_module", "The registry does not know this module in this version.") from None
        raise Unreachable("registry_unreachable", f"The npm registry answers {error.code}.") from None
    except (OSError, ValueError):
        raise Unreachable("registry_unreachable", "The npm registry cannot be reached.") from None
    if len(data) > MAX_TARBALL:
        raise Invalid("not_a_package", "The package is too large.")
    return data
