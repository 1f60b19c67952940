"""Every place where values of customers leave: its purpose, its grain, and how it learns of a change.

`tests/usecases/test_exits.py` finds the readers of facts, events, memberships, look-ups and the lake in the source, and every
address, command and job: one that belongs to no row here fails it. The same suite tries the exits in every state of consent, or says why not, and
keeps the table in `docs/operator/purposes-and-consents.md`.
"""

from __future__ import annotations

from dataclasses import dataclass

ONE, GROUP = "one person", "ten or more"
LIVE = "reads the gate when it answers"
CACHED = "reads the permitted view, written in the transaction of the change"


@dataclass(frozen=True)
class Exit:
    """One exit. `modules` read what is known of customers for it, as paths in the package."""

    name: str
    purpose: str
    grain: str
    learns: str
    modules: tuple[str, ...]


EXITS = (
    Exit("ID token", "serve", ONE, CACHED, ("oauth/grant.py",)),
    Exit("/userinfo", "serve", ONE, CACHED, ("oauth/claims.py",)),
    Exit(
        "Claims remembered from rules", "serve", ONE, "forgotten in the transaction of the change", ("oauth/claims.py",)
    ),
    Exit(
        "User in rules and their trials",
        "serve",
        ONE,
        CACHED,
        ("usecases/login.py", "rules/run.py", "rules/trial_report.py"),
    ),
    Exit(
        "Records of what rules did",
        "serve",
        ONE,
        "inputs and console lines are cleared by a job",
        (
            "interfaces/console/views/rule_runs.py",
            "interfaces/console/views/rules.py",
            "rules/replay_runs.py",
            "rules/run_records.py",
        ),
    ),
    Exit("Management API: read", "the grant's", ONE, LIVE, ("interfaces/management_api/users.py",)),
    Exit("Management API: search and sort", "the grant's", ONE, CACHED, ("usecases/find_customers.py",)),
    Exit(
        "API of facts",
        "the grant's",
        ONE,
        LIVE + "; closed facts say why, without a value",
        ("interfaces/api/profiles.py",),
    ),
    Exit("Timeline of the API", "the grant's", ONE, LIVE, ("usecases/permitted_events.py",)),
    Exit(
        "Segment members",
        "the segment's",
        ONE,
        "evaluated in the transaction of the change",
        (
            "interfaces/api/segments.py",
            "interfaces/console/views/segments.py",
            "segments/evaluate.py",
            "segments/members.py",
        ),
    ),
    Exit("Segment export", "the segment's", ONE, LIVE, ("segments/export_members.py",)),
    Exit(
        "Segment counts and charts",
        "the segment's",
        GROUP,
        "the lake is filled within seconds",
        ("insights/run_chart.py", "segments/count.py", "segments/known.py", "usecases/lake.py"),
    ),
    Exit("Sample of a count", "the segment's", ONE, LIVE, ("segments/count.py", "segments/evaluate.py")),
    Exit(
        "Destinations, retries and replay",
        "the destination's and the segment's",
        ONE,
        LIVE,
        (
            "destinations/follow.py",
            "destinations/manual_requests.py",
            "destinations/message.py",
            "destinations/update_requests.py",
            "usecases/deliver.py",
        ),
    ),
    Exit(
        "Look-ups and their answers in the console",
        "the source's",
        ONE,
        LIVE + "; kept answers are cleared by a job",
        (
            "enrichment/look_up.py",
            "enrichment/reliability.py",
            "interfaces/console/views/sources.py",
            "usecases/enrich.py",
        ),
    ),
    Exit(
        "Choice of questions, and the value that a question asks to confirm",
        "the question's",
        ONE,
        LIVE,
        (
            "interfaces/api/questions.py",
            "interfaces/login/question.py",
            "questions/customer_context.py",
            "questions/next_question.py",
            "questions/preview.py",
            "questions/wording.py",
            "usecases/shown_notices.py",
        ),
    ),
    Exit(
        "Statistics of questions",
        "measure",
        GROUP,
        CACHED,
        ("questions/answer_model.py", "questions/boosts.py", "questions/statistics.py"),
    ),
    Exit("Search of the console", "serve", ONE, CACHED, ("usecases/find_customers.py",)),
    Exit(
        "Customer's page of the console",
        "each",
        ONE,
        LIVE + "; closed facts say why",
        ("interfaces/console/views/customers.py", "usecases/identity_conflicts.py"),
    ),
    Exit("Recent activity in the console", "serve", ONE, LIVE, ("interfaces/console/views/home.py",)),
    Exit(
        "The customer's own page and export",
        "the customer's right",
        ONE,
        LIVE,
        (
            "interfaces/account/data.py",
            "interfaces/account/profile.py",
            "usecases/customer_data.py",
            "usecases/export.py",
            "usecases/export_tables.py",
        ),
    ),
    Exit(
        "Mails and names on sign-in pages",
        "serve",
        ONE,
        "reads the user document, written in the transaction of the change",
        (
            "usecases/account_mails.py",
            "interfaces/login/login.py",
            "interfaces/login/embedded/client_settings.py",
            "interfaces/api/questions.py",
        ),
    ),
    Exit(
        "Backups",
        "none: stored only",
        ONE,
        "what was decided since is repeated when one is restored, before anything is served",
        ("operations/backup.py", "usecases/replay_journal.py"),
    ),
)
# Modules that read what is known and let nothing out: they write it, delete it, count rows or compare accounts.
INSIDE = (
    "base/conditions/sql.py",
    "enrichment/save.py",
    "events/inbox.py",
    "events/read.py",
    "events/record.py",
    "oauth/browser_session.py",
    "operations/doctor.py",
    "operations/running_checks.py",
    "questions/answer.py",
    "usecases/answer_question.py",
    "usecases/browsers.py",
    "usecases/clear_closed.py",
    "usecases/clear_event_traits.py",
    "usecases/complete_social_login.py",
    "usecases/correct_facts.py",
    "usecases/erase.py",
    "usecases/event_traits.py",
    "usecases/first_proof.py",
    "usecases/join_repeated_facts.py",
    "usecases/link_accounts.py",
    "usecases/lower_public_keys.py",
    "usecases/merge.py",
    "usecases/message_proofs.py",
    "usecases/personal_data.py",
    "usecases/process_event.py",
    "usecases/record_disclosures.py",
    "usecases/refuse_consent.py",
    "usecases/relabel_writes.py",
    "usecases/retention.py",
    "usecases/rule_writes.py",
    "usecases/stop_sharing.py",
    "usecases/unit_of_work.py",
    "usecases/users.py",
    "usecases/write_values.py",
    "usecases/writers.py",
)
