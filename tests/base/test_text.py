from __future__ import annotations

from regulars.base.text import storable


def test_only_characters_that_databases_reject_are_replaced():
    given = {"na\x00me": ["Chi\ud800ka", {"city": "Évora"}], "age": 29, "vip": True, "none": None}

    assert storable(given) == {"na�me": ["Chi�ka", {"city": "Évora"}], "age": 29, "vip": True, "none": None}
