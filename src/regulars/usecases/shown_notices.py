"""The notices that pages show before a decision. Every form that can give consent takes its notice and its hash from here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import override

from regulars.base import clock
from regulars.connections.provider import RequestedClaim
from regulars.consent.models import Purpose
from regulars.consent.notices import ShownNotice, remember_shown
from regulars.consent.purposes import get_purpose, whole_words_in, words_in
from regulars.consent.status import ConsentStatus
from regulars.profiles.models import Profile
from regulars.questions.models import Impression
from regulars.questions.next_question import notice_of
from regulars.questions.wording import wording_of

from .recipients import Recipient, recipients_by_purpose, recipients_of


def notice_on(
    purpose: Purpose,
    locale: str,
    words: str,
    pieces: Sequence[str] = (),
    recipients: Sequence[Recipient] | None = None,
) -> ShownNotice:
    """Return the notice in these words: with everything that a yes to the purpose would cover now, recipients included."""
    named = recipients_of(purpose.key) if recipients is None else recipients
    return ShownNotice(
        purpose.key, purpose.version, locale, words, recipients=tuple(map(str, named)), pieces=tuple(pieces)
    )


def recipients_text(notice: ShownNotice) -> str:
    """Return the sentence that names the recipients beside the words, in the language of the page; empty without any."""
    return _("May be sent to: {names}.").format(names=", ".join(notice.recipients)) if notice.recipients else ""


def purpose_notice(purpose: Purpose, locale: str, recipients: Sequence[Recipient] | None = None) -> ShownNotice:
    """Return the notice of a purpose as a whole, in the best language that the operator wrote."""
    written, label, text = whole_words_in(purpose, locale)
    return notice_on(purpose, written, f"{label}\n{text}", recipients=recipients)


def question_notice(impression: Impression) -> ShownNotice:
    """Return the notice of a question as its page shows it now: the attribute and the question's version are part of it."""
    question, wording = impression.question, wording_of(impression)
    offered = question.label_of(impression.to_confirm) if impression.to_confirm is not None else ""
    words = notice_of(question, wording.text_for(offered), wording.why, wording.use)
    pieces = (question.attribute, f"{question.key}@{question.version}")
    return notice_on(question.purpose, wording.locale, words, pieces)


def show_question(impression: Impression) -> ShownNotice:
    """Return the notice that a page shows with a question now; remembered where an answer may be a plain no."""
    notice = question_notice(impression)
    if impression.question.kind.gives_consent:
        remember_shown([(notice, impression.question.purpose)])
    return notice


@dataclass(frozen=True)
class ClaimText:
    """What stands beside the box of a claim, in one language."""

    label: str
    why: str
    use: str

    @property
    def words(self) -> str:
        return f"{self.label}. {self.why} {self.use}"


def claim_text(claim: RequestedClaim, locale: str) -> ClaimText:
    with override(locale):
        use = _("What we use it for:") + " " + words_in(get_purpose(claim.purpose), locale)[2]
        return ClaimText(_(claim.label), _(claim.why), use)


def claim_notice(claim: RequestedClaim, locale: str) -> ShownNotice:
    """Return the notice beside the box of a claim, before the customer goes to the provider."""
    return notice_on(get_purpose(claim.purpose), locale, claim_text(claim, locale).words, [claim.key])


def whole_notices(claims: Sequence[RequestedClaim], locale: str, profile: Profile | None = None) -> list[ShownNotice]:
    """Return the notices of the purposes that these claims are for, each as a whole: where consent is its basis.

    Not those that the customer, where known, allows as a whole already.
    """
    status = ConsentStatus.of([profile], clock.now())[profile.pk] if profile else None
    purposes = Purpose.objects.filter(
        key__in={claim.purpose for claim in claims}, basis=Purpose.Basis.CONSENT, active=True
    )
    return [
        purpose_notice(each, locale)
        for each in purposes.order_by("key")
        if status is None or not status.is_given_as_a_whole(each.key)
    ]


def is_current(notice: ShownNotice) -> bool:
    """Return whether a page would show this notice of a whole purpose now."""
    purpose = Purpose.objects.filter(key=notice.subject, active=True).first()
    return purpose is not None and purpose_notice(purpose, notice.locale) == notice


def show_purposes(locale: str) -> dict[str, str]:
    """Return, for every active purpose, the hash of the notice that a page shows now, and remember these notices."""
    recipients = recipients_by_purpose()
    shown = [
        (purpose_notice(purpose, locale, recipients.get(purpose.key, ())), purpose)
        for purpose in Purpose.objects.filter(active=True)
    ]
    remember_shown(shown)
    return {purpose.key: notice.hash for notice, purpose in shown}
