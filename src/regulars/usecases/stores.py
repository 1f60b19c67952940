"""How long every table and every entry of the home folder is kept: a kind of `retention`, a task, its customer, or for ever.

A test compares the lists with the models and with what the program writes into the home folder: a new one needs its line here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Ends(Enum):
    """What ends a row or a file."""

    RETENTION = "by a kind of *Retention*"
    TASK = "by a periodic task of the worker"
    CUSTOMER = "with its customer"
    STAFF = "until staff delete it, or what it belongs to"
    NEVER = "never"


@dataclass(frozen=True)
class StorePeriod:
    """`by` are kinds of `retention.KINDS` or names of periodic tasks; `why` says what else a reader has to know."""

    ends: Ends
    by: tuple[str, ...] = ()
    why: str = ""


def _kind(*kinds: str) -> StorePeriod:
    return StorePeriod(Ends.RETENTION, kinds)


def _task(*tasks: str, why: str = "") -> StorePeriod:
    return StorePeriod(Ends.TASK, tasks, why)


def _customer(why: str) -> StorePeriod:
    return StorePeriod(Ends.CUSTOMER, ("visitors", "customers"), why)


def _staff(why: str) -> StorePeriod:
    return StorePeriod(Ends.STAFF, (), why)


def _never(why: str) -> StorePeriod:
    return StorePeriod(Ends.NEVER, (), why)


TABLES: dict[str, StorePeriod] = {
    "account.EmailAddress": _customer("addresses of the account"),
    "account.EmailConfirmation": _customer("not used"),
    "accounts.Account": _customer("the account"),
    "accounts.AttemptCount": _task("accounts.delete_old_attempts", why="a day at most"),
    "accounts.PasswordPolicy": _staff("settings of a connection"),
    "accounts.PendingSignup": _task("accounts.delete_expired", why="a day after the mail"),
    "accounts.PreviousPassword": _customer("as many as the password policy compares"),
    "accounts.StoredSession": _task("sessions.forget", why="14 days after its last use, an hour before a login"),
    "auth.Group": _never("not used"),
    "auth.Permission": _never("written by Django, one for each table and action"),
    "clients.Client": _staff("applications"),
    "clients.ClientGrant": _staff("with its application"),
    "clients.ResourceServer": _staff("APIs"),
    "configuration.ConfigurationVersion": _never("one row"),
    "connections.Connection": _staff("connections"),
    "consent.ConsentEvent": _customer("the ledger: proof of every decision while it counts"),
    "consent.ConsentState": _customer("one row for each purpose"),
    "consent.DocumentComparison": _task("documents.compare", why="a year"),
    "consent.ErasedIdentifier": _kind("erased_ids"),
    "consent.Erasure": _never(
        "the proof, without a name, and what a restored backup repeats; one row for each erasure"
    ),
    "consent.JournalEntry": _kind("journal"),
    "consent.KeptDecision": _kind("ledger"),
    "consent.Notice": _never("texts that decisions name; one row for each wording"),
    "consent.PermittedView": _customer("one row for each purpose"),
    "consent.Purpose": _staff("purposes; decisions name them, so that they are closed and not deleted"),
    "consent.Restriction": _customer("proof of the restriction"),
    "consent.Retention": _staff("one row for each kind"),
    "consent.Suppression": _never(
        "fingerprints of addresses that must not be written to again: an objection has no end"
    ),
    "consent.Widening": _task(
        "profiles.change", why="until the worker has come to every customer of a widened purpose"
    ),
    "console.AuditEntry": _kind("staff_log"),
    "console.SentForm": _kind("sent_forms"),
    "contenttypes.ContentType": _never("written by Django, one for each table"),
    "destinations.Delivery": _kind("deliveries"),
    "destinations.Destination": _staff("destinations"),
    "destinations.DestinationVersion": _staff("with its destination: says where disclosed data went"),
    "destinations.DirectDisclosure": _customer("one row for each recipient: customers may ask who received what"),
    "destinations.Disclosure": StorePeriod(
        Ends.RETENTION, ("deletion_requests", "removed_disclosures"), "of a customer who is not erased: with them"
    ),
    "destinations.ManualRequest": StorePeriod(
        Ends.RETENTION, ("deletion_requests", "removed_disclosures"), "of a customer who is not erased: until they are"
    ),
    "enrichment.Lookup": _kind("lookups"),
    "enrichment.Reliability": _never("one row for each source and attribute"),
    "enrichment.SourceDay": _kind("day_counts"),
    "enrichment.SourceSetting": _staff("one row for each source"),
    "events.Event": _kind("events"),
    "events.InboxItem": _kind("inbox"),
    "events.Rejection": _kind("refused"),
    "events.Source": _staff("sources of events"),
    "events.SourceCount": _kind("event_counts"),
    "jobs.Job": StorePeriod(
        Ends.RETENTION, ("failed_jobs",), "finished ones: a week, by the task `jobs.forget_finished`"
    ),
    "jobs.PeriodicTask": _never("one row for each task"),
    "jobs.Queue": _staff("one row for each queue, with its destination"),
    "mfa.Authenticator": _customer("second factors"),
    "oauth.AppGrant": _customer("one row for each application"),
    "oauth.AuthorizationCode": _task("oauth.delete_expired", why="a day"),
    "oauth.DeviceRequest": _task("oauth.delete_expired", why="minutes"),
    "oauth.PendingLogin": _task("oauth.delete_expired", why="minutes"),
    "oauth.PushedRequest": _task("oauth.delete_expired", why="minutes"),
    "oauth.RefreshFamily": _task("oauth.delete_expired", why="at the end of its lifetime"),
    "oauth.RefreshToken": _task(
        "oauth.delete_expired", why="with its family: a stolen one is known by having been used"
    ),
    "oauth.RevokedGrant": _task("oauth.delete_expired", why="as long as a token of the grant could be used"),
    "oauth.SessionClient": _task("oauth.delete_expired", why="14 days"),
    "oauth.SessionName": _task("oauth.delete_expired", why="14 days"),
    "profiles.Attribute": _staff("attributes"),
    "profiles.CrowdedProfile": _customer("one row at most"),
    "profiles.Fact": StorePeriod(
        Ends.RETENTION,
        ("retracted", "closed"),
        "a fact that counts, or did before a newer one of another source: with its customer",
    ),
    "profiles.Identity": _customer("login methods and known browsers, a limited number a day"),
    "profiles.IdentityConflict": _customer("pairs that staff decide on"),
    "profiles.Merge": _customer("by which a wrong link is undone"),
    "profiles.Profile": StorePeriod(Ends.RETENTION, ("visitors", "customers")),
    "profiles.ProviderAnswer": _kind("provider_answers"),
    "profiles.RefusedGuess": _kind("day_counts"),
    "profiles.UpstreamRevocation": _kind("ended_grants"),
    "profiles.UpstreamToken": _customer("one row for each login method, until its grant ends"),
    "proofs.EmailCode": _task("accounts.delete_expired", why="within an hour of its end"),
    "proofs.LoginTicket": _task("accounts.delete_expired", why="within an hour of its end"),
    "questions.AnswerModel": _never("one row for each question"),
    "questions.Impression": StorePeriod(
        Ends.RETENTION,
        ("questions_shown",),
        "answered or refused ones: with their customer, as proof of what was shown",
    ),
    "questions.PriorityBoost": _customer("one row for each question at most"),
    "questions.Question": _staff("questions"),
    "questions.QuestionSettings": _never("one row"),
    "questions.SelectionDecision": _task("questions.refit", why="half a year"),
    "questions.Target": _staff("targets of questions"),
    "rules.Rule": _staff("rules"),
    "rules.RuleRun": _kind("rule_runs"),
    "rules.RuleSetting": _staff("settings of rules"),
    "rules.UndeclaredRules": _never("one row"),
    "segments.Membership": _customer("one row for each segment"),
    "segments.Segment": _staff("segments"),
    "sessions.Session": _never("empty: an update moved its rows to accounts.StoredSession"),
    "tokens.SigningKey": _task("keys.forget", why="when no token that it signed is valid any more"),
    "tokens.UsedOnce": _task("oauth.delete_expired", why="as long as the token could be used"),
    "usersessions.UserSession": _task("sessions.forget", why="with its session"),
}
# What the program writes into the home folder.
HOME: dict[str, StorePeriod] = {
    "credentials.json": _never("one file, written anew at each set-up"),
    "erasures.jsonl": _never("a line for each erasure, without a name: a backup of any age may be restored"),
    "exports": _staff(
        "files of destinations: lists that staff collect; a deletion request takes a customer's lines out"
    ),
    "journal.jsonl": _kind("journal"),
    "lake": StorePeriod(Ends.RETENTION, ("events",), "superseded files of a table: an hour, by the task `lake.tidy`"),
    "lock": _never("an empty file"),
    "mail": _kind("mails"),
    "regulars.sqlite3": _never("the database: its tables end as said above"),
    "restore.unfinished": _never("a mark, until the restore is finished"),
    "rules": _staff("modules of rules"),
    "secret.key": _never("the key of the installation"),
    "static": _never("files of the program, written anew by an update"),
    "tls": _never("certificates of `--https`, replaced before they end"),
    "workers.lock": _never("an empty file"),
}


def rows_for_page(stores: dict[str, StorePeriod]) -> str:
    """Return the rows of the table on the operator's page."""
    return "".join(
        f"| `{name}` | {each.ends.value}{': ' if each.by else ''}{', '.join(f'`{key}`' for key in each.by)} | {each.why} |\n"
        for name, each in sorted(stores.items())
    )
