"""Kill a process before every step of an operation, do what comes next, and print what is wrong then.

python -m tests.serving.killed_operations [OPERATION…], in the environment of an installation. What comes next is what the
customer, staff and the worker would do: the same again, and the waiting jobs. Each round has a customer of its own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import django

django.setup()

from allauth.mfa.models import Authenticator  # noqa: E402 - after set-up, as are models
from django.conf import settings  # noqa: E402
from django.contrib.auth.hashers import make_password  # noqa: E402
from django.db import connections  # noqa: E402
from django.test import Client  # noqa: E402
from django.utils import timezone  # noqa: E402
from tests.console.staff_browser import StaffBrowser  # noqa: E402
from tests.login.device import code_of  # noqa: E402
from tests.management_api.conftest import ApiClient, make_token  # noqa: E402
from tests.receivers import Answer, receiving  # noqa: E402
from tests.rules.test_modules import GREETING, about, tarball  # noqa: E402
from tests.serving.killing import Steps, forked  # noqa: E402

from regulars.accounts.models import Account, AttemptCount, PendingSignup  # noqa: E402
from regulars.accounts.passwords import PasswordHasher  # noqa: E402
from regulars.accounts.proofs.models import EmailCode  # noqa: E402
from regulars.base.jobs.models import Job  # noqa: E402
from regulars.base.jobs.run_jobs import run_due  # noqa: E402
from regulars.base.tokens.keys import key_set  # noqa: E402
from regulars.base.tokens.models import SigningKey  # noqa: E402
from regulars.base.tokens.rotate import rotate  # noqa: E402
from regulars.connections.models import Connection  # noqa: E402
from regulars.consent.erasures import ListCopier, in_file, list_path  # noqa: E402
from regulars.consent.models import Purpose, Widening  # noqa: E402
from regulars.consent.record import Decision  # noqa: E402
from regulars.consent.view import may  # noqa: E402
from regulars.destinations.models import Destination, DestinationVersion  # noqa: E402
from regulars.interfaces.console.models import AuditEntry  # noqa: E402
from regulars.interfaces.console.pages import PROVED  # noqa: E402
from regulars.operations.backup import write_backup  # noqa: E402
from regulars.operations.scratch import leftovers  # noqa: E402
from regulars.profiles.find import canonical_profile  # noqa: E402
from regulars.profiles.models import Profile  # noqa: E402
from regulars.rules.models import Rule  # noqa: E402
from regulars.rules.modules import install  # noqa: E402
from regulars.rules.sandbox import library  # noqa: E402
from regulars.segments.models import Segment  # noqa: E402
from regulars.serving.console_sessions import STAFF_COOKIE  # noqa: E402
from regulars.usecases.complete_social_login import sign_up as make_account  # noqa: E402
from regulars.usecases.decide_consent import WIDENED  # noqa: E402
from regulars.usecases.unit_of_work import changes  # noqa: E402

PASSWORD, OTHER_PASSWORD = "a few words in a row", "some other words in a row"
PASSWORDS = "Username-Password-Authentication"
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
FINE = "function (user, context, callback) { callback(null, user, context); }"
APP = "/me/security/app"
WEBHOOK = {"setting.url": "https://mailer.example/hooks", "setting.secret": "whsec_" + "QUFB" * 10}


@dataclass(frozen=True)
class Operation:
    """`work` is killed; before it `begin` makes what has to be there. `heal` does what comes next, and says what is wrong."""

    begin: Callable[[str], object]
    work: Callable[[str], object]
    heal: Callable[[str], list[str]]


BROWSERS: dict[str, Client] = {}  # of this process


def nothing(who: str) -> None:
    """There is nothing to make before."""


def browser() -> Client:
    return Client(SERVER_NAME="localhost")


def api(method: str, path: str, body: Any = None) -> Any:
    return ApiClient(browser()).call(method, path, body)


def address(who: str) -> str:
    return f"{who}@mail.example"


def mails_to(to: str) -> list[EmailMessage]:
    found = []
    for path in sorted(Path(settings.EMAIL_FILE_PATH).glob("*.log"), key=lambda path: path.stat().st_mtime_ns):
        for raw in path.read_bytes().split(b"-" * 79 + b"\n"):
            mail = message_from_bytes(raw, policy=policy.default)
            if mail["To"] == to:
                found.append(mail)
    return found


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return body.get_content()


def link_in(mail: EmailMessage) -> str:
    found = re.search(r"https?://[^/\s]+(/\S+)", text_of(mail))
    assert found
    return found[1]


def worker(*kinds: str) -> None:
    """Start a worker after the kill of another: its leases end, and waiting jobs run. Here those of mails and of `kinds`."""
    Job.objects.filter(finished_at=None).exclude(queue="mail").exclude(kind__in=kinds).delete()
    Job.objects.filter(state=Job.State.RUNNING).update(leased_until=timezone.now())
    time.sleep(0.001)
    run_due(1000)


def counted(action: str, who: str) -> int:
    """Return how many attempts of this address the limit has counted."""
    from regulars.accounts.rate_limits import Attempt, _windows

    keys = [each.key for each in _windows(Attempt(action, address(who), "127.0.0.1")) if ":email:" in each.subject]
    return AttemptCount.objects.filter(key__in=keys).values_list("count", flat=True).first() or 0


def check(**conditions: bool) -> list[str]:
    return [name.replace("_", " ") for name, holds in conditions.items() if not holds]


def one_id(mails: list[EmailMessage]) -> bool:
    """Whether the receiving side recognises all as one mail."""
    return len({mail["Message-ID"] for mail in mails}) <= 1


def account_of(who: str) -> Account:
    return make_account(address(who), make_password(PASSWORD), PASSWORDS)


def signs_in(to: str, password: str) -> bool:
    answer = browser().post("/login", {"email": to, "password": password})
    return answer.status_code == 302


# Sign-up


def sign_up(who: str) -> None:
    assert browser().post("/signup", {"email": address(who), "password": PASSWORD}).status_code == 200


def signed_up(who: str) -> list[str]:
    worker()
    wrong = check(each_counted_mail_is_sent=len(mails_to(address(who))) == counted("signup", who))
    sign_up(who)  # no page said that it was done
    worker()
    finish_sign_up(who)
    return wrong + check(account_is_there=signs_in(address(who), PASSWORD))


def ready_to_mail(who: str) -> None:
    worker()  # nothing else waits, and the folder is there
    sign_up(who)


def mailed(who: str) -> list[str]:
    worker()
    mails = mails_to(address(who))
    finish_sign_up(who)
    return check(mail_is_sent=bool(mails), mail_is_one=one_id(mails), it_works=signs_in(address(who), PASSWORD))


def finish_sign_up(who: str) -> None:
    browser().post(link_in(mails_to(address(who))[-1]), {"password": PASSWORD})


def ready_to_finish(who: str) -> None:
    sign_up(who)
    worker()


def finished(who: str) -> list[str]:
    finish_sign_up(who)
    pending = PendingSignup.objects.filter(email=address(who))
    return check(signs_in=signs_in(address(who), PASSWORD), link_is_used=not pending.exists())


# A code by mail


def with_codes(who: str) -> None:
    Connection.objects.update_or_create(name="email", defaults={"strategy": "email", "enabled": True})


def ask_code(who: str) -> None:
    BROWSERS[who] = browser()
    assert "/code/enter" in BROWSERS[who].post("/code", {"email": address(who)})["Location"]


def ready_to_mail_a_code(who: str) -> None:
    with_codes(who)
    worker()
    ask_code(who)


def code_asked(who: str) -> list[str]:
    worker()
    codes = EmailCode.objects.filter(email=address(who))
    wrong = check(
        each_counted_mail_is_sent=len(mails_to(address(who))) == counted("code", who),
        each_code_is_mailed=codes.count() == len(mails_to(address(who))),
    )
    ask_code(who)
    worker()
    return wrong + check(code_is_mailed=bool(mails_to(address(who))))


def code_mailed(who: str) -> list[str]:
    worker()
    mails = mails_to(address(who))
    same_code = len({text_of(mail) for mail in mails}) == 1
    return check(mail_is_sent=bool(mails), mail_is_one=one_id(mails), code_is_the_same=same_code)


def ready_to_enter_a_code(who: str) -> None:
    with_codes(who)
    enter_new_code(who, enters=False)


def enter_new_code(who: str, *, enters: bool = True) -> None:
    client = browser()
    page = client.post("/code", {"email": address(who)})["Location"]
    worker()
    digits = re.search(r"^(\d{6})$", text_of(mails_to(address(who))[-1]), re.MULTILINE)
    assert digits
    BROWSERS[who] = client
    (settings.HOME / f"{who}.id").write_text(json.dumps([page, digits[1]]))
    if enters:
        enter_code(who)


def enter_code(who: str) -> Any:
    page, digits = json.loads(kept_id(who))
    return BROWSERS[who].post(page, {"digits": digits})


def code_entered(who: str) -> list[str]:
    enter_new_code(who)
    answer = BROWSERS[who].get("/me")
    return check(
        signs_in=answer.status_code == 200, one_account=Account.objects.filter(email=address(who)).count() == 1
    )


# A forgotten password, and one changed by its owner


def ask_reset(who: str) -> None:
    assert browser().post("/password/reset", {"email": address(who)}).status_code == 200


def reset_asked(who: str) -> list[str]:
    worker()
    wrong = check(each_counted_mail_is_sent=len(mails_to(address(who))) == counted("reset", who))
    ask_reset(who)
    worker()
    return wrong + check(mail_is_sent=bool(mails_to(address(who))))


def ready_to_reset(who: str) -> None:
    account_of(who)
    ask_reset(who)
    worker()


def choose_password(who: str) -> None:
    browser().post(link_in(mails_to(address(who))[0]), {"password": OTHER_PASSWORD})


def password_chosen(who: str) -> list[str]:
    choose_password(who)
    worker()
    notices = len(mails_to(address(who))) - 1
    return check(signs_in=signs_in(address(who), OTHER_PASSWORD), one_notice=notices == 1)


def signed_in(who: str) -> Client:
    """Return a browser in which the customer is signed in; in one process the same one."""
    if who not in BROWSERS:
        BROWSERS[who] = browser()
        assert BROWSERS[who].post("/login", {"email": address(who), "password": PASSWORD}).status_code == 302
    return BROWSERS[who]


def with_session(who: str) -> None:
    account_of(who)
    signed_in(who)


def change_password(who: str) -> None:
    signed_in(who).post("/me/security/password", {"password": OTHER_PASSWORD})


def password_changed(who: str) -> list[str]:
    is_changed = signs_in(address(who), OTHER_PASSWORD)
    if not is_changed:
        change_password(who)
    worker()
    return check(
        signs_in=signs_in(address(who), OTHER_PASSWORD),
        old_one_is_over=not signs_in(address(who), PASSWORD),
        one_notice=len(mails_to(address(who))) == 1,
    )


def with_secret(who: str) -> None:
    with_session(who)
    assert signed_in(who).get(APP).status_code == 200


def add_app(who: str) -> None:
    answer = signed_in(who).post(APP, {"code": code_of(signed_in(who).session["account_new_app"])})
    assert answer.status_code == 302, answer.content


def app_added(who: str) -> list[str]:
    has_app = Authenticator.objects.filter(user__email=address(who), type="totp").exists()
    worker()
    return check(notified_if_added=len(mails_to(address(who))) == has_app, signs_in=signs_in(address(who), PASSWORD))


# An address, two accounts


def user_id(to: str) -> str:
    return Account.objects.get(email=to).profile.user_id.replace("|", "%7C")


def with_user_id(who: str) -> None:
    """A customer whom the round finds by their own id again, whatever their address is then."""
    profile = account_of(who).profile
    (settings.HOME / f"{who}.id").write_text(profile.user_id)
    make_token()  # its application


def kept_id(who: str) -> str:
    return (settings.HOME / f"{who}.id").read_text()


def change_address(who: str) -> None:
    body = {"email": address(f"new-{who}"), "email_verified": True, "connection": PASSWORDS}
    answer = api("PATCH", f"/v2/users/{kept_id(who).replace('|', '%7C')}", body)
    assert answer.status_code == 200, answer.content


def address_changed(who: str) -> list[str]:
    change_address(who)
    worker()
    profile = Profile.objects.get(user_id=kept_id(who))
    return check(
        signs_in=signs_in(address(f"new-{who}"), PASSWORD),
        old_address_is_over=not signs_in(address(who), PASSWORD),
        document_says_so=profile.document.get("email") == address(f"new-{who}"),
        one_notice_to_the_old_address=len(mails_to(address(who))) == 1,
    )


def two_accounts(who: str) -> None:
    account_of(who)
    account_of(f"other-{who}")


def link_accounts(who: str) -> Any:
    other = Account.objects.get(email=address(f"other-{who}")).profile
    provider, number = other.user_id.split("|")
    body = {"provider": provider, "user_id": number}
    return api("POST", f"/v2/users/{user_id(address(who))}/identities", body)


def linked(who: str) -> list[str]:
    again = link_accounts(who).status_code
    worker()
    one, other = (Account.objects.get(email=address(each)) for each in (who, f"other-{who}"))
    return check(
        answer_is_a_yes_or_says_that_it_is_done=again in (201, 409),
        one_customer=canonical_profile(one.profile) == canonical_profile(other.profile),
        both_sign_in=all(signs_in(address(each), PASSWORD) for each in (who, f"other-{who}")),
    )


# Erasure, export, backup, keys


def erasable(who: str) -> None:
    profile = account_of(who).profile
    with changes(profile, "test") as c:
        c.decide(Decision("personalise", "given", "login"))
    ask_reset(who)
    worker()
    assert mails_to(address(who))
    signed_in(who)


def erase(who: str) -> Any:
    return signed_in(who).post("/me/erase", {"understood": "on"})


def erased(who: str) -> list[str]:
    if Account.objects.filter(email=address(who)).exists():
        erase(who)
    ListCopier().run()  # the worker's task
    worker()
    found = Profile.objects.filter(facts__value=address(who)).exists()
    listed = {str(each.erasure.pk) for each in in_file(list_path())}
    from regulars.consent.models import Erasure

    wrong = check(
        account_is_gone=not Account.objects.filter(email=address(who)).exists() and not found,
        mails_are_gone=not mails_to(address(who)),
        each_erasure_is_listed={str(pk) for pk in Erasure.objects.values_list("pk", flat=True)} <= listed,
    )
    sign_up(who)
    worker()
    finish_sign_up(who)
    return wrong + check(may_sign_up_again=signs_in(address(who), PASSWORD))


def export_own_data(who: str) -> None:
    answer = signed_in(who).get("/me/data.json")
    assert b"".join(answer.streaming_content if answer.streaming else [answer.content])


def files_at_home() -> set[str]:
    """Return every file that is no cache, no mail and no part of the database."""
    left_out = ("mail/", "lake", "cache", "modules", "regulars.sqlite3")
    names = (str(path.relative_to(settings.HOME)) for path in settings.HOME.rglob("*") if path.is_file())
    return {name for name in names if not name.startswith(left_out) and not name.endswith(".id")}


def exported(who: str) -> list[str]:
    before = files_at_home()
    export_own_data(who)
    return check(no_file_is_left=before == files_at_home())


def archive(who: str) -> Path:
    return settings.HOME.parent / "backups" / "killed.tar.gz"


def back_up(who: str) -> None:
    list(write_backup(archive(who)))


def names_in(path: Path) -> list[str]:
    with tarfile.open(path) as archive:
        return archive.getnames()


def backed_up(who: str) -> list[str]:
    path = archive(who)
    whole_or_absent = not path.exists() or bool(names_in(path))
    back_up(who)
    names = names_in(path)
    beside = sorted(each.name for each in path.parent.iterdir())
    path.unlink()
    return check(
        archive_is_whole_or_absent=whole_or_absent,
        archive_has_the_database=any(name.startswith("database.") for name in names),
        no_copy_is_left=beside == [path.name] and not leftovers(path.parent),
    )


def rotate_keys(who: str) -> None:
    rotate(at_once=True)


def rotated(who: str) -> list[str]:
    def states() -> list[str]:
        return sorted(SigningKey.objects.exclude(state="retired").values_list("state", flat=True))

    before = states()
    answers = api("GET", "/v2/users?per_page=1").status_code
    rotate_keys(who)
    return check(
        one_signs_and_one_is_next=before == states() == ["current", "next"],
        tokens_are_accepted=answers == 200 and key_set().current.kid is not None,
    )


# Staff


def staff() -> StaffBrowser:
    """Return the browser of an administrator; in one process the same one."""
    if isinstance(known := BROWSERS.get("staff"), StaffBrowser):
        return known
    account = Account.objects.filter(email="killed@shop.example").first()
    account = account or Account.objects.create_staff("killed@shop.example", "a long password", role="admin")
    client = StaffBrowser(SERVER_NAME="localhost")
    client.force_login(account, backend=BACKEND)
    session = client.session
    session[PROVED] = True
    session.save()
    client.cookies[STAFF_COOKIE] = client.cookies.pop(settings.SESSION_COOKIE_NAME).value
    BROWSERS["staff"] = client
    return client


def keep_number(who: str, path: str) -> None:
    """Load a form, as staff did before the kill: what it carries is sent again afterwards."""
    (settings.HOME / f"{who}.id").write_text(json.dumps(staff().load(path)))


def press(who: str, path: str, data: dict[str, str]) -> Any:
    answer = staff().post(path, {**json.loads(kept_id(who)), **data}, bare=True)
    assert answer.status_code == 302, (answer.status_code, answer.content[-4000:])
    return answer


def rule_form(who: str) -> None:
    library.folder()
    keep_number(who, "/console/rules/new")


def save_rule(who: str) -> None:
    press(who, "/console/rules/new", {"name": who, "script": FINE, "language": "javascript"})


def rule_saved(who: str) -> list[str]:
    save_rule(who)
    entries = AuditEntry.objects.filter(subject=who, what__startswith="rule.")
    return check(one_rule=Rule.objects.filter(slug=who).count() == 1, one_entry=entries.count() == 1)


def without_modules(who: str) -> None:
    fetch_module(who)  # the compiled image of the library is kept apart
    shutil.rmtree(library.folder())
    library.folder()


def fetch_module(who: str) -> None:
    install.add(["greeting@2.1.0"])


def module_fetched(who: str) -> list[str]:
    there = library.library().modules
    whole = all(module.path.is_file() for module in there)
    for path in library.folder().iterdir():
        os.utime(path, (0, 0))  # an hour later
    fetch_module(who)
    names = [module.name for module in library.library().modules]
    left = {path.suffix for path in library.folder().iterdir()} - {".js", ".json", ".txt"}
    return check(listed_modules_are_there=whole, module_is_there=names == ["greeting"], no_draft_is_left=not left)


SEGMENT = "/console/segments/new/save?for=personalise&as=text&text=city%3ABraga"


def segment_form(who: str) -> None:
    keep_number(who, SEGMENT)


def save_segment(who: str) -> None:
    press(who, SEGMENT, {"name": who})


def segment_saved(who: str) -> list[str]:
    save_segment(who)
    entries = AuditEntry.objects.filter(subject=who, what__startswith="segment.")
    return check(one_segment=Segment.objects.filter(slug=who).count() == 1, one_entry=entries.count() == 1)


PURPOSE = "/console/privacy/purposes/message"


def consenting(who: str) -> None:
    profile = account_of(who).profile
    with changes(profile, "test") as c:
        c.decide(Decision("message", "given", "login"))
    keep_number(who, PURPOSE)
    (settings.HOME / f"{who}-version.id").write_text(str(Purpose.objects.get(key="message").version))


def widen(who: str) -> None:
    press(who, PURPOSE, {"label": "Messages", "text": f"More than before: {who}.", "widened": "on"})


def widened(who: str) -> list[str]:
    before = int(kept_id(f"{who}-version"))
    if Purpose.objects.get(key="message").version == before:
        widen(who)
    worker(WIDENED)
    profile = Account.objects.get(email=address(who)).profile
    return check(
        widened_once=Purpose.objects.get(key="message").version == before + 1,
        old_consent_is_over=not may(profile, "message"),
        walk_has_ended=not Widening.objects.exists(),
    )


def destination_form(who: str) -> None:
    keep_number(who, "/console/destinations/new?kind=webhook")


def save_destination(who: str) -> None:
    press(who, "/console/destinations/new?kind=webhook", {"name": who, "purpose": "message", **WEBHOOK})


def destination_saved(who: str) -> list[str]:
    save_destination(who)
    found = Destination.objects.filter(slug=who)
    return check(
        one_destination=found.count() == 1,
        one_version=DestinationVersion.objects.filter(destination__slug=who).count() == 1,
        one_entry=AuditEntry.objects.filter(subject=who).count() == 1,
    )


OPERATIONS = {
    "sign-up": Operation(nothing, sign_up, signed_up),
    "sign-up-mail": Operation(ready_to_mail, lambda who: run_due(), mailed),
    "sign-up-end": Operation(ready_to_finish, finish_sign_up, finished),
    "code": Operation(with_codes, ask_code, code_asked),
    "code-mail": Operation(ready_to_mail_a_code, lambda who: run_due(), code_mailed),
    "code-end": Operation(ready_to_enter_a_code, enter_code, code_entered),
    "reset": Operation(account_of, ask_reset, reset_asked),
    "reset-end": Operation(ready_to_reset, choose_password, password_chosen),
    "password": Operation(with_session, change_password, password_changed),
    "authenticator-app": Operation(with_secret, add_app, app_added),
    "address": Operation(with_user_id, change_address, address_changed),
    "link": Operation(two_accounts, link_accounts, linked),
    "erasure": Operation(erasable, erase, erased),
    "export": Operation(with_session, export_own_data, exported),
    "backup": Operation(lambda who: archive(who).parent.mkdir(exist_ok=True), back_up, backed_up),
    "keys": Operation(nothing, rotate_keys, rotated),
    "rule": Operation(rule_form, save_rule, rule_saved),
    "module": Operation(without_modules, fetch_module, module_fetched),
    "segment": Operation(segment_form, save_segment, segment_saved),
    "purpose": Operation(consenting, widen, widened),
    "destination": Operation(destination_form, save_destination, destination_saved),
}


def rounds(name: str, steps: Steps) -> None:
    """Print [operation, number of the step or 0, signal, what is wrong] for each round, and [operation, "steps", names].

    The first round kills nothing, and is in this process: what it imports and caches the children need not.
    """
    operation, result = OPERATIONS[name], settings.HOME.parent / "result"

    def say(*words: object) -> None:
        sys.stdout.write(json.dumps([name, *words]) + "\n")

    def work(number: int) -> None:
        who = f"{name}-{number}"
        operation.begin(who)
        with steps.until(number):
            operation.work(who)

    def healed(number: int) -> None:
        BROWSERS.clear()
        result.write_text(json.dumps(operation.heal(f"{name}-{number}")))

    work(0)
    found = list(steps.seen)
    healed(0)
    say(0, 0, json.loads(result.read_text()))
    connections.close_all()  # a child has its own
    for number in range(1, len(found) + 1):
        ended = forked(lambda: work(number))  # noqa: B023 - it runs now
        result.unlink()
        ok = forked(lambda: healed(number)) == 0  # noqa: B023
        wrong = json.loads(result.read_text()) if ok else ["cannot be healed"]
        result.touch()
        say(number, ended, wrong)
    say("steps", found)


def main(names: list[str]) -> None:
    PasswordHasher.time_cost, PasswordHasher.memory_cost, PasswordHasher.parallelism = 1, 8, 1
    data, steps = tarball(GREETING), Steps()
    with receiving(Answer(body=about("greeting", "2.1.0", data))) as registry:
        registry.routes["/greeting/-/greeting-2.1.0.tgz"] = Answer(body=data)
        os.environ["NPM_CONFIG_REGISTRY"] = registry.url
        for name in names or OPERATIONS:
            rounds(name, steps)


if __name__ == "__main__":
    main(sys.argv[1:])
