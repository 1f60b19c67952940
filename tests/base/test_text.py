from __future__ import annotations

from regulars.base.text import storable


def test_what_no_database_stores_is_replaced_and_the_rest_is_kept():
    given = {"na\x00me": ["Chi\ud800ka", {"city": "Évora"}], "age": 29, "vip": True, "none": None}

    assert storable(given) == {"na�me": ["Chi�ka", {"city": "Évora"}], "age": 29, "vip": True, "none": None}
