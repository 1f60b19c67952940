"""What staff record of a customer is refused as a whole where the journal cannot take it, and the page says so."""

from __future__ import annotations

import pytest

from regulars.consent.journal import journal_path
from regulars.consent.models import ConsentEvent, Restriction

PAGE = "/console/customers/google-oauth2%7C1001"


@pytest.mark.parametrize(
    ("address", "form"),
    [
        (f"{PAGE}/refusal", {"purpose": "personalise", "reason": "by telephone", "words": "no"}),
        (f"{PAGE}/restriction", {"reason": "by telephone"}),
        (f"{PAGE}/correct?attribute=given_name", {"value": "Chikako", "reason": "typing error"}),
    ],
)
def test_act_of_staff_is_refused(console, chika, settings, tmp_path, address, form):
    settings.HOME = tmp_path / "home"
    settings.HOME.mkdir()
    journal_path().mkdir()

    answer = console.post(address, form)

    assert answer.status_code == 503
    assert "was not recorded" in answer.content.decode()
    assert not ConsentEvent.objects.exists()
    assert not Restriction.objects.exists()
    assert not chika.facts.filter(source_kind="corrected").exists()
    journal_path().rmdir()
    assert console.post(address, form).status_code == 302
