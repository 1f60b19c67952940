"""The code blocks of the documents.

A block is run, or the line before it is a comment that says why not: `<!-- not run: it needs an account at Klaviyo -->`.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]+) -->\n)?^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)
INDENTED = re.compile(r"(?:\A|\n\n)((?: {4}[^\n]+\n)+)")


@dataclass(frozen=True)
class Block:
    """One fenced block. `document` is relative to the root; `reason` says why it is not run.

    `follows`: nothing stands between it and the block before.
    """

    document: str
    line: int
    language: str
    text: str
    reason: str
    follows: bool

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def documents() -> list[Path]:
    """Return the documents that are kept, without the change log, which speaks of the past."""
    names = subprocess.check_output(["git", "ls-files", "-z", "*.md"], cwd=ROOT, text=True).split("\0")
    return [ROOT / name for name in names if name and name != "CHANGELOG.md" and (ROOT / name).exists()]


def blocks_of(document: Path) -> list[Block]:
    """Return the fenced blocks of a document in their order."""
    text, name = document.read_text(), str(document.relative_to(ROOT))
    found: list[Block] = []
    end = 0
    for match in FENCE.finditer(text):
        indent = match["indent"]
        lines = [line.removeprefix(indent) for line in match["text"].splitlines(keepends=True)]
        line = text.count("\n", 0, match.start("language")) + 1
        follows = bool(found) and not text[end : match.start()].strip()
        end = match.end()
        found.append(Block(name, line, match["language"], "".join(lines), (match["reason"] or "").strip(), follows))
    return found


def indented_blocks_of(document: Path) -> list[str]:
    """Return the blocks that are code by their indent alone: nothing says what language they are in."""
    text = FENCE.sub("", document.read_text())
    listed = re.sub(r"^(?:\d+\.|[-*]) .*\n(?:(?: {2,}.*)?\n)*", "", text, flags=re.MULTILINE)
    return INDENTED.findall(listed)
