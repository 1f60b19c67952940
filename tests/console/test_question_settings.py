"""Question settings in the console."""

from __future__ import annotations

import pytest

from regulars.interfaces.console.models import AuditEntry
from regulars.questions.models import QuestionSettings
from regulars.questions.next_question import NotShown, next_question
from regulars.questions.save import QuestionDraft, save_question

ADDRESS = "/console/questions/settings"
AS_IT_IS = {
    "asking": "on", "pace": "0.075", "days_between": "1", "min_logins": "0", "most_in_30_days": "3", "one_more": "0",
    "quiet_after_passes": "2", "quiet_days": "60", "pass_days": "30", "shows": "3", "declined_days": "365",
    "adult_age": "16", "measure_from": "2000", "control_share": "5", "explore_share": "10", "priors": "",
}  # fmt: skip


def test_the_form_shows_what_holds_now_and_ana_changes_it(console):
    assert console.get(ADDRESS).context["given"] == AS_IT_IS

    console.post(ADDRESS, {**AS_IT_IS, "days_between": "7", "pace": "0.15", "priors": '{"gender": {"female": 0.6}}'})

    saved = QuestionSettings.objects.get()
    assert (saved.days_between, saved.pace, saved.control_share) == (7, 0.15, 0.05)
    assert saved.priors == {"gender": {"female": 0.6}}
    assert AuditEntry.objects.get(what="questions.settings")


def test_switched_off_asking_stops_and_the_list_shows_it(console, chika):
    save_question(QuestionDraft("q", "Hats?", "To show them.", "yes_no", "hats", "personalise", enabled=True))
    console.post(ADDRESS, {**AS_IT_IS, "asking": ""})

    assert next_question(chika) == NotShown("switched_off")
    assert "Asking is switched off for every customer" in console.get("/console/questions").content.decode()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("days_between", "0"),
        ("days_between", "soon"),
        ("quiet_days", "-1"),
        ("shows", ""),
        ("control_share", "60"),
        ("explore_share", "nan"),
        ("explore_share", "much"),
        ("pace", "2"),
        ("priors", "{"),
        ("priors", '{"gender": {"female": 1.6}}'),
    ],
)
def test_an_error_is_shown_beside_its_field_and_nothing_is_saved(console, name, value):
    response = console.post(ADDRESS, {**AS_IT_IS, name: value})

    assert response.status_code == 400
    assert response.context["problem"].field == name
    assert f'id="in-{name.replace("_", "-")}-problem"' in response.content.decode()
    assert not QuestionSettings.objects.exists()


def test_mia_reads_it_and_may_not_change_it(mia_console):
    page = mia_console.get(ADDRESS).content.decode()

    assert "Question settings" in page
    assert ">Save</button>" not in page
    assert mia_console.post(ADDRESS, {**AS_IT_IS, "asking": ""}).status_code == 403
