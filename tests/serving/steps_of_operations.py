"""What is left when a process is killed before a step of an operation, and what heals it: the table of `running.md`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """Steps in a row with the same outcome. `marks`: a table that each one writes, or what it does to a file."""

    before: str
    left: str
    heals: str
    marks: tuple[str, ...]


NOTHING = "nothing"
THE_CALLER = "no page or answer said that it was done: it is done again"
MAIL_AGAIN = (
    "a worker sends it again within a minute, under the same Message-ID: mail programs and servers show the two as one"
)
# operation → its name in the table, and its steps
STEPS: dict[str, tuple[str, list[Step]]] = {
    "sign-up": (
        "Sign-up: the form",
        [
            Step(
                "the attempt, the sign-up and its mail are committed, as one",
                NOTHING,
                THE_CALLER,
                ("accounts_pendingsignup",),
            )
        ],
    ),
    "sign-up-mail": (
        "Sign-up: the mail (every mail goes this way)",
        [
            Step("the worker takes it", "the mail waits", "a worker sends it", ("jobs_job",)),
            Step("it is handed over", "the mail is under way", "a worker sends it within a minute", ("write",)),
            Step("it is recorded as sent", "the mail may have been sent", MAIL_AGAIN, ("jobs_queue", "jobs_job")),
        ],
    ),
    "sign-up-end": (
        "Sign-up: the link",
        [
            Step(
                "the password was compared",
                "one attempt of the customer counts as failed",
                "the limit forgets it after its window; the link works",
                ("accounts_attemptcount", "accounts_attemptcount"),
            ),
            Step("the account is committed", "the sign-up", "the link works", ("accounts_account",)),
            Step(
                "the session is there",
                "the account, and no session",
                "they sign in with their password",
                ("accounts_account",),
            ),
        ],
    ),
    "code": (
        "Code by mail: the form",
        [
            Step(
                "the attempt, the code and its mail are committed, as one",
                NOTHING + "; a code that they asked for before works",
                THE_CALLER,
                ("proofs_emailcode",),
            )
        ],
    ),
    "code-mail": (
        "Code by mail: the mail",
        [
            Step(
                "the worker takes it, and makes the code",
                "the mail waits",
                "a worker sends it",
                ("jobs_job", "proofs_emailcode"),
            ),
            Step("it is handed over", "the mail is under way", "a worker sends it within a minute", ("write",)),
            Step(
                "it is recorded as sent",
                "the mail may have been sent",
                MAIL_AGAIN + "; it has the same code, and a used code is not sent again",
                ("jobs_queue", "jobs_job"),
            ),
        ],
    ),
    "code-end": (
        "Code by mail: the digits",
        [
            Step(
                "the digits were compared",
                "one attempt, and perhaps one of the three tries of the code, count as failed",
                "the code works; after its third try they ask for another",
                ("accounts_attemptcount", "proofs_emailcode", "proofs_emailcode", "accounts_attemptcount"),
            ),
            Step("the code is used up", "the code", "the code works", ("proofs_emailcode",)),
            Step(
                "the session is there",
                "the code is used up; at a first sign-in perhaps the account, without a session",
                "they ask for another code",
                ("accounts_account", "accounts_account"),
            ),
        ],
    ),
    "reset": (
        "Forgotten password: the form",
        [Step("the attempt and the mail are committed, as one", NOTHING, THE_CALLER, ("jobs_job",))],
    ),
    "reset-end": (
        "Forgotten password: the new one",
        [
            Step(
                "the password and its notice are committed, as one", "the old password", "the link works", ("jobs_job",)
            ),
            Step("the session is there", "the new password", "they sign in with it", ("accounts_account",)),
        ],
    ),
    "password": (
        "Password changed at `/me`",
        [
            Step("the password and its notice are committed, as one", "the old password", THE_CALLER, ("jobs_job",)),
            Step(
                "the session learns of it",
                "the new password; this session is over",
                "they sign in with it",
                ("accounts_storedsession",),
            ),
        ],
    ),
    "authenticator-app": (
        "Authenticator app or passkey added, removed, or new recovery codes",
        [
            Step("the attempt is counted", NOTHING, THE_CALLER, ("accounts_attemptcount",)),
            Step("the change and its notice are committed, as one", NOTHING, THE_CALLER, ("mfa_authenticator",)),
            Step(
                "the session knows of it",
                "the new factor",
                "they use it at the next sign-in",
                ("accounts_attemptcount", "accounts_storedsession"),
            ),
        ],
    ),
    "address": (
        "Address changed by an application",
        [
            Step(
                "the address and its notice are committed, as one", "the old address", THE_CALLER, ("accounts_account",)
            )
        ],
    ),
    "link": (
        "Accounts linked",
        [
            Step(
                "the link and its notices are committed, as one",
                "two accounts",
                THE_CALLER + " (409: it was done)",
                ("profiles_merge",),
            )
        ],
    ),
    "erasure": (
        "Erasure",
        [
            Step(
                "copies of mails in the home folder are deleted (without a mail server)",
                NOTHING,
                THE_CALLER,
                ("remove home/mail",),
            ),
            Step(
                "the erasure is committed",
                "the customer, perhaps without their copies of mails",
                THE_CALLER,
                ("consent_erasure",),
            ),
            Step(
                "it is in `erasures.jsonl`",
                "the erasure, in the database alone",
                "the worker copies it into the file within a minute; a restore takes it from the database too",
                ("write home/erasures.jsonl",),
            ),
        ],
    ),
    "export": ("Export at `/me/data`", []),
    "backup": (
        "Backup",
        [
            Step(
                "the archive is complete",
                "a draft (`.part`) and perhaps a copy of the database (`.copy`) beside it",
                "the next backup deletes both; the backup of before is whole",
                ("write backups/*.tar.gz.part", "mkdir backups", "rename backups"),
            ),
            Step(
                "all is tidied up",
                "the new archive, perhaps with an empty folder (`.copy`) beside it, and without its time for doctor",
                "the next backup",
                ("rmdir backups", "remove backups", "jobs_periodictask"),
            ),
        ],
    ),
    "keys": ("Rotation of keys", [Step("it is committed", "the keys of before", THE_CALLER, ("tokens_signingkey",))]),
    "rule": (
        "Rule saved",
        [
            Step(
                "rule and audit entry are committed, as one",
                NOTHING,
                "the form is sent again; if it was saved, the second press lands on it",
                ("rules_rule",),
            )
        ],
    ),
    "module": (
        "Module of rules fetched",
        [
            Step(
                "the list of modules is exchanged",
                "the modules of before; files that nothing names, perhaps a draft",
                "the command is run again; an hour later the next fetch deletes drafts",
                ("write home/rules", "rename home/rules") * 3,
            )
        ],
    ),
    "segment": (
        "Segment saved",
        [
            Step(
                "segment, members and audit entry are committed, as one",
                NOTHING,
                "the form is sent again; if it was saved, the second press lands on it",
                ("segments_segment",),
            )
        ],
    ),
    "purpose": (
        "Purpose widened",
        [
            Step(
                "text, closed gate, walk and audit entry are committed, as one",
                "the purpose of before",
                "the form is sent again; the walk goes on in portions after every kill of a worker",
                ("consent_widening",),
            )
        ],
    ),
    "destination": (
        "Destination saved",
        [
            Step(
                "destination and audit entry are committed, as one",
                NOTHING,
                "the form is sent again; if it was saved, the second press lands on it",
                ("destinations_destination",),
            )
        ],
    ),
}


def rows() -> list[str]:
    """Return the lines of the table in the document."""
    lines = ["| operation | killed before | what is left | how it heals |", "| --- | --- | --- | --- |"]
    for title, steps in STEPS.values():
        nothing = [Step("(it writes nothing)", NOTHING, "it is asked for again", ())]
        lines += [f"| {title} | {each.before} | {each.left} | {each.heals} |" for each in steps or nothing]
    return lines
