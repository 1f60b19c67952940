"""Claims of rules that /userinfo remembers end with the values that they were concluded from."""

from __future__ import annotations

import pytest

from regulars.consent.record import Decision
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Profile
from regulars.rules.save import save_rule
from regulars.usecases.correct_facts import correct
from regulars.usecases.decide_consent import decide, expire_consents
from regulars.usecases.unit_of_work import changes
from tests.ran_out import let_consents_run_out

CLAIM = "https://shop.example/for"
RULE = "(user, context, cb) => { context.idToken['https://shop.example/for'] = user.gender || 'x'; cb(null, user, context); }"


def withdraw(profile) -> None:
    decide(profile, Decision("personalise", "withdrawn", "profile"))


def run_out(profile) -> None:
    let_consents_run_out()
    expire_consents()


def delete(profile) -> None:
    with changes(profile, "test") as c:
        c.retract(list(c.profile.facts.filter(attribute="gender")))


def change(profile) -> None:
    correct(profile, "gender", "male", reason="By phone.", staff="ana")


def learn_more(profile) -> None:
    with changes(profile, "test") as c:
        c.learn([NewFact("city", "Porto", "declared", "app:crm")])


def count_logins(profile) -> None:
    with changes(profile, "test") as c:
        c.learn([NewFact("app_metadata.logins", c.profile.logins_count + 7, "declared", "rule:1")])


@pytest.mark.parametrize(
    ("act", "ends"),
    [(withdraw, True), (run_out, True), (delete, True), (change, True), (learn_more, False), (count_logins, False)],
)
def test_remembered_claim_ends_at_once_with_its_value(signed_in, act, ends):
    profile = Profile.objects.get(account_id=signed_in.browser.session["_auth_user_id"])
    count_logins(profile)
    with changes(profile, "test") as c:
        yes = c.decide(Decision("personalise", "given", "login"))
        c.learn([NewFact("gender", "female", "social", "google-oauth2", basis="consent", consents=[yes.pk])])
    save_rule("for", script=RULE)
    tokens = signed_in.tokens(scope="openid offline_access")

    def claim() -> object:
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        return signed_in.browser.get("/userinfo", headers=headers).json().get(CLAIM)

    assert claim() == "female"
    act(profile)
    assert claim() == (None if ends else "female")

    tokens = signed_in.refresh(tokens["refresh_token"]).json()
    assert claim() == {change: "male"}.get(act, "x" if ends else "female")
