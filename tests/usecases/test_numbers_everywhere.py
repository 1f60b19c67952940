"""One profile, one answer: Auth0's user search, real time, all at once in SQL, and the lake agree on numbers and days."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys

import pytest
from tests.management_api.conftest import ApiClient

from regulars.base import clock
from regulars.profiles.models import Attribute
from regulars.segments.count import count
from regulars.segments.evaluate import evaluate_segment
from regulars.segments.models import Membership
from regulars.segments.save import save_segment
from regulars.usecases.lake import fill_lake
from regulars.usecases.unit_of_work import changes

BIG = 2**63 + 1


def today(days: int) -> str:
    return (clock.today() + dt.timedelta(days=days)).isoformat()


CASES = [
    (BIG, f"x:{BIG}", True),
    (BIG, f"x:{BIG + 1}", False),
    (BIG + 1, f"x:[* TO {BIG}]", False),
    (2**53 + 1, f"x:[{2**53 + 1} TO {2**53 + 1}]", True),
    (2**53, f"x:[{2**53 + 1} TO *]", False),
    ("9", "x:[50 TO *]", False),
    ("9", "x:[* TO 50]", True),
    ("100 EUR", "x:[* TO 50]", None),
    ("100 EUR", "x:[50 TO *]", None),
    (7.0, "x:7", True),
    (today(0), "x:[now TO now+7d]", True),
    (today(7), "x:[now TO now+7d]", True),
    (today(8), "x:[now TO now+7d]", False),
    (today(-1), "x:[now TO now+7d]", False),
]


@pytest.mark.parametrize(("value", "text", "truth"), CASES)
def test_search_real_time_sql_and_lake_have_the_same_answer(make_customer, lake, client, value, text, truth):
    Attribute.objects.create(key="x", label="X", purposes=["serve", "personalise"], metadata_path="app_metadata.x")
    segment, chika = save_segment("X", text, "personalise"), make_customer()
    with changes(chika, "test"):
        pass
    body = {"app_metadata": {"x": value}}
    api = ApiClient(client)
    assert api.call("PATCH", f"/v2/users/{chika.user_id}", body).status_code == 200
    expected = {True: "in", False: "out", None: "unknown"}[truth]

    found = api.get("/v2/users", q=text.replace("x:", "app_metadata.x:"), search_engine="v3")
    assert [each["app_metadata"] for each in found] == ([{"x": value}] if truth else [])
    rows = dict(Membership.objects.values_list("profile_id", "state"))
    assert rows.get(chika.pk, "out") == expected
    Membership.objects.all().delete()
    evaluate_segment(segment)
    assert dict(Membership.objects.values_list("profile_id", "state")).get(chika.pk, "out") == expected
    fill_lake({})
    counted = count(text, "personalise")
    assert (counted.inside, counted.unknown) == (int(truth is True), int(truth is None))


def test_unknown_time_zone_ends_the_start_with_its_name(tmp_path):
    environment = {**os.environ, "REGULARS_TIME_ZONE": "Mars/Olympus", "REGULARS_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", "import django; django.setup()"], env=environment, capture_output=True, text=True
    )

    assert "bad_time_zone" in done.stderr
