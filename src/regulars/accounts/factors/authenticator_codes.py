"""Codes of six digits from an authenticator app (RFC 6238), and the recovery codes for the day the phone is gone."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import quote

from allauth.core.internal.cryptokit import compare_user_code
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import (
    TOTP,
    format_hotp_value,
    generate_totp_secret,
    hotp_value,
    yield_hotp_counters_from_time,
)
from django.db import transaction
from django.db.models import Q
from django.db.models.expressions import RawSQL
from django.utils import timezone
from django.utils.translation import gettext_noop

from regulars.base.db.compiled_query import CompiledQuery, param
from regulars.base.db.unions import in_either
from regulars.base.errors import Invalid

from ..models import Account
from .adapter import FactorAdapter

Kind = Authenticator.Type
FIRST_HAND = (Kind.TOTP, Kind.WEBAUTHN)  # recovery codes only stand in for one of these


@dataclass(frozen=True)
class Setup:
    """What an app needs to read: by its camera (`picture`, an SVG), by a tap (`link`), or by hand (`secret`)."""

    secret: str
    link: str
    picture: str

    @property
    def picture_url(self) -> str:
        return "data:image/svg+xml," + quote(self.picture)

    @property
    def by_hand(self) -> str:
        """The secret in groups of four letters."""
        return " ".join(self.secret[i : i + 4] for i in range(0, len(self.secret), 4))


def of_account(account: int | RawSQL, field: str = "user") -> Q:
    """Rows of this account and of accounts whose customers were merged into its customer; unlinked, each has its own again."""
    joined = Account.objects.filter(profile__merged_into__account=account)
    return in_either(field, Account.objects.filter(pk=account), joined)


def is_enrolled(account: Account) -> bool:
    """Return whether a second factor must be asked: for this account, or one whose customer was merged into its customer."""
    return _first_hand.exists(account=account.pk)


_first_hand = CompiledQuery(
    lambda: Authenticator.objects.filter(of_account(param("account")), type__in=FIRST_HAND).values_list("pk")[:1]
)


def find(account: Account, kind: str) -> Authenticator | None:
    return Authenticator.objects.filter(of_account(account.pk), type=kind).order_by("pk").first()


def new_secret() -> str:
    """20 random bytes in base 32."""
    return str(generate_totp_secret())


def setup_of(account: Account, secret: str) -> Setup:
    link = FactorAdapter().build_totp_url(account, secret)
    return Setup(secret, link, FactorAdapter().build_totp_svg(link))


@transaction.atomic
def add_app(account: Account, secret: str, code: str) -> Authenticator:
    """Take the app on once it shows a right code. Raises `Invalid("wrong_code")` or `Invalid("already_added")`."""
    Account.objects.select_for_update().get(pk=account.pk)
    if find(account, Kind.TOTP):
        raise Invalid("already_added", gettext_noop("An authenticator app is set up already."))
    counter = _counter_of(secret, code, after=0)
    if counter is None:
        raise Invalid(
            "wrong_code", gettext_noop("This code is not right. Take the one that your app shows now."), "code"
        )
    app = TOTP.activate(account, secret).instance
    _use(app, counter)
    RecoveryCodes.activate(account)
    return app


def check_code(account: Account, code: str) -> Authenticator | None:
    """The app or the recovery codes it is from; None when it is wrong, or was used before. A right one is used up."""
    if not (code := code.replace(" ", "").replace("-", "")) or len(code) > 32:
        return None
    for app in _all(account, Kind.TOTP):
        if _uses_up(app, code):
            return app
    for spare in _all(account, Kind.RECOVERY_CODES):
        if RecoveryCodes(spare).validate_code(code):
            Authenticator.objects.filter(pk=spare.pk).update(last_used_at=timezone.now())
            return spare
    return None


def recovery_codes(account: Account) -> list[str]:
    """Those that were not used yet."""
    return [code for spare in _all(account, Kind.RECOVERY_CODES) for code in RecoveryCodes(spare).get_unused_codes()]


@transaction.atomic
def new_recovery_codes(account: Account) -> list[str]:
    """Ten new ones; the old ones are worth nothing from now on. Raises `Invalid("no_second_factor")`."""
    Account.objects.select_for_update().get(pk=account.pk)
    if not is_enrolled(account):
        raise Invalid("no_second_factor", gettext_noop("Set up an authenticator app or a passkey first."))
    Authenticator.objects.filter(of_account(account.pk), type=Kind.RECOVERY_CODES).delete()
    return list(RecoveryCodes.activate(account).generate_codes())


@transaction.atomic
def remove(account: Account, number: int) -> Authenticator | None:
    """Take an app or a passkey away. Recovery codes go with the last of them."""
    found = Authenticator.objects.filter(of_account(account.pk), pk=number, type__in=FIRST_HAND).first()
    if found:
        Authenticator.objects.filter(pk=found.pk).delete()
        if not is_enrolled(account):
            Authenticator.objects.filter(of_account(account.pk)).delete()
    return found


def remove_all(account: Account) -> int:
    """Take everything away; how many there were."""
    count, _ = Authenticator.objects.filter(of_account(account.pk)).delete()
    return int(count)


def remove_earlier(account: Account, kept: Collection[int]) -> set[str]:
    """Take everything away but the factors with the ids `kept`. Returns the kinds that were removed."""
    earlier = Authenticator.objects.filter(of_account(account.pk)).exclude(pk__in=kept)
    kinds = set(earlier.values_list("type", flat=True))
    Authenticator.objects.filter(pk__in=list(earlier.values_list("pk", flat=True))).delete()
    return kinds


def _all(account: Account, kind: str) -> list[Authenticator]:
    return list(Authenticator.objects.filter(of_account(account.pk), type=kind).order_by("pk"))


@transaction.atomic
def _uses_up(app: Authenticator, code: str) -> bool:
    """A code is good once, whichever process is asked: allauth remembers used ones in the memory of one."""
    held = Authenticator.objects.select_for_update().get(pk=app.pk)
    secret = FactorAdapter().decrypt(held.data["secret"])
    counter = _counter_of(secret, code, after=held.data.get("last_counter", 0))
    if counter is not None:
        _use(held, counter)
    return counter is not None


def _use(app: Authenticator, counter: int) -> None:
    app.data["last_counter"], app.last_used_at = counter, timezone.now()
    app.save(update_fields=["data", "last_used_at"])


def _counter_of(secret: str, code: str, after: int) -> int | None:
    """The half-minute that the code is for; one before and one after now are let pass, for clocks that differ."""
    return next(
        (
            counter
            for counter in yield_hotp_counters_from_time()
            if counter > after
            and compare_user_code(actual=code, expected=format_hotp_value(hotp_value(secret, counter)))
        ),
        None,
    )
