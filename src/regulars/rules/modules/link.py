"""Link the CommonJS files of a package into one script, without node."""

from __future__ import annotations

import json
import posixpath
import re
from dataclasses import dataclass

from regulars.base.errors import Invalid

from .registry import Files

MAX_FILES = 300
_REQUIRE = re.compile(r"""(?<![\w$.])require\(\s*(['"])([^'"]+)\1\s*\)""")
# Each file is a function, run at its first require. Paths of this package resolve here; other names in the realm.
_FRAME = """var made = {{}}, files = {{
{files}
}};
function load(path) {{
  if (made[path]) return made[path].exports;
  var own = made[path] = {{ exports: {{}} }}, file = files[path];
  file[0].call(own.exports, own, own.exports, function (name) {{ return name in file[1] ? load(file[1][name]) : require(name); }});
  return own.exports;
}}
module.exports = load({entry});"""


@dataclass(frozen=True)
class LinkedModule:
    """A linked package. `needs`: other modules that it requires and declares."""

    code: str
    needs: frozenset[str]


def link(files: Files, entry: str = "") -> LinkedModule:
    """Raises `Invalid("not_linkable")` for a package without CommonJS to begin with."""
    about = json.loads(files.get("package.json", "{}"))
    start = _find(files, entry or str(about.get("main") or "index.js"))
    if start is None or about.get("type") == "module":
        raise Invalid("not_linkable", "The package has no CommonJS file to begin with.")
    parts: dict[str, str] = {}
    needs: set[str] = set()
    waiting = [start]
    while waiting:
        path = waiting.pop()
        if path in parts:
            continue
        inside, http_calls = _asked(files, path)
        needs |= http_calls
        waiting += inside.values()
        text = files[path]
        body = f"module.exports = {text.strip()};" if path.endswith(".json") else text
        function = f"function (module, exports, require) {{{body}\n}}"
        parts[path] = f"{json.dumps(path)}: [{function}, {json.dumps(inside)}]"
        if len(parts) > MAX_FILES:
            raise Invalid("not_linkable", f"The package is made of more than {MAX_FILES} files.")
    code = _FRAME.format(files=",\n".join(parts.values()), entry=json.dumps(start))
    return LinkedModule(code, frozenset(needs & set(about.get("dependencies") or {})))


def _asked(files: Files, path: str) -> tuple[dict[str, str], set[str]]:
    """Return what a file requires: `{"./util": "lib/util.js"}` of this package, and the names of others."""
    if path.endswith(".json"):
        return {}, set()
    inside: dict[str, str] = {}
    http_calls: set[str] = set()
    for match in _REQUIRE.finditer(files[path]):  # in comments too, where one more file does no harm
        name = match[2]
        if not name.startswith("."):
            http_calls.add("/".join(name.split("/")[: 2 if name.startswith("@") else 1]))
        elif found := _find(files, posixpath.join(posixpath.dirname(path), name)):
            inside[name] = found  # a missing file fails when it is reached, as in node
    return inside, http_calls


def _find(files: Files, path: str) -> str | None:
    path = posixpath.normpath(path).lstrip("/")
    tried = (path, f"{path}.js", f"{path}.cjs", f"{path}.json", f"{path}/index.js")
    return next((one for one in tried if one in files), None)
