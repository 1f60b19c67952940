"""Takes the README's picture from a running demo: `.venv/bin/python docs/pictures/take.py home/credentials.json`."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import sync_playwright

SEGMENT = [
    ("for", "personalise"),
    ("g0", "all"),
    ("g0.0", "is"),
    ("g0.0.what", "gender"),
    ("g0.0.value", "female"),
    ("g0.1", "is"),
    ("g0.1.what", "age_band"),
    ("g0.1.value", "25-34"),
    ("g0.2", "is"),
    ("g0.2.what", "continent"),
    ("g0.2.value", "Europe"),
    ("g0.3", "did"),
    ("g0.3.what", "Product Viewed"),
    ("g0.3.times", "1"),
    ("g0.3.days", "90"),
    ("g0.3.where", "category"),
    ("g0.3.equals", "jackets"),
]


def take(credentials: Path, into: Path) -> None:
    staff = json.loads(credentials.read_text())["console"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        page.goto(staff["url"])
        page.get_by_label("E-mail").fill(staff["email"])
        page.get_by_label("Password").fill(staff["password"])
        page.get_by_role("button", name="Sign in").click()
        page.goto(f"{staff['url']}segments/new?{urlencode(SEGMENT)}")
        page.screenshot(path=into)
        browser.close()


if __name__ == "__main__":
    take(Path(sys.argv[1]), Path(__file__).with_name("segment.png"))
