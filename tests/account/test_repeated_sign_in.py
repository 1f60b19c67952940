"""A customer who signs in with a network again and again reads each fact once."""

from __future__ import annotations

import json
import re

from django.utils.html import strip_tags
from tests.login.test_social import BIRTHDAY, GENDER, LENA, begin

from regulars.consent.models import ConsentEvent
from regulars.profiles.find import find_by_user_id


def test_facts_of_three_sign_ins_stand_once_on_the_page_and_name_no_other_source(client, google, upstream):
    for _ in range(3):
        client.get(upstream.decide(begin(client, "birthday", "gender"), BIRTHDAY, GENDER, person=LENA))

    page = client.get("/me").content.decode()
    headings = [strip_tags(each).strip() for each in re.findall(r"<h3>(.*?)</h3>", page.partition('id="purposes"')[0])]
    facts = find_by_user_id(f"google-oauth2|{LENA}").facts

    assert headings
    assert len(headings) == len(set(headings))
    assert "another source" not in page
    assert "last confirmed on" in page
    assert facts.count() == facts.values("attribute").distinct().count()
    assert ConsentEvent.objects.filter(action="given").count() == 6  # every decision is in the ledger
    exported = json.loads(client.get("/me/data.json").getvalue())["facts"]
    assert all(each["confirmed_at"] >= each["since"] for each in exported)
