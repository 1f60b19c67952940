"""The demo business of a checkout: its data is in `examples/demo`, which no wheel contains."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module

from django.conf import settings

from regulars.base.addresses import Addresses
from regulars.serving.programs import EXAMPLES


def seed_demo(addresses: Addresses, report: Callable[[str], None]) -> None:
    """Fill the example shop with invented customers. Reports and does nothing where the examples are not installed."""
    if not (EXAMPLES / "demo").is_dir():
        report("The demo data is not part of this installation; a checkout of the project has it.")
        return
    root = str(EXAMPLES.parent)
    if root not in sys.path:
        sys.path.append(root)
    import_module("examples.demo.seed").seed(addresses, report, settings.DEMO_PEOPLE)
