"""Ask for the consent of the customer before a rule calls a service, and record what the service is about to be sent."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import httpx2
from django.conf import settings
from django.db import transaction

from regulars.base import clock
from regulars.consent.models import Purpose
from regulars.consent.status import ConsentStatus
from regulars.destinations.direct_disclosures import Kind, Receiver, is_recorded, record_direct
from regulars.profiles.models import Profile
from regulars.rules.declaration import purpose_of, read_recipients, recipient_of
from regulars.rules.http_calls import Answer, Request, refusal
from regulars.rules.invocation import RuleInvocation
from regulars.rules.sent_values import sent_attributes, values_of

log = logging.getLogger(__name__)

PURPOSE_CLOSED, ERASED, NOT_RECORDED = "EPURPOSE_CLOSED", "ECUSTOMER_ERASED", "ENOT_RECORDED"

NOT_MADE = frozenset({PURPOSE_CLOSED, ERASED, NOT_RECORDED})  # codes of calls that nothing was sent in


class CustomerCallGate:
    """The gate of the calls of rules that run for one customer, during their sign-in and after it.

    Consent is read at each call, as it is then. The disclosure is recorded before the data leaves, so that a process that is
    killed, a withdrawal and an erasure a moment later know of it: mostly one read. `user` is what rules are given.
    """

    def __init__(self, profile_id: int, user: Mapping[str, Any], ip: str = "") -> None:
        self._profile_id = profile_id
        self._user = user
        self._ip = ip

    @cached_property
    def _values(self) -> dict[str, list[Any]]:
        return values_of(self._user, self._ip)

    def __call__(self, job: RuleInvocation, request: Request) -> Answer | None:
        """Return the error that the rule is given instead of an answer; None when the call may be made."""
        try:
            url = httpx2.URL(str(request["url"]))
        except (KeyError, httpx2.InvalidURL):
            return None  # which `http_calls` refuses
        if is_own_address(url):
            return None
        try:
            return self._ask(job, url.raw_host.decode().lower().strip("[]"), request)
        except Exception:  # what cannot be asked and recorded is not sent
            log.exception("a call of rule %s could not be recorded, and was not made", job.slug)
            return refusal(NOT_RECORDED, "What a call discloses could not be recorded, and it was not made.")

    def _ask(self, job: RuleInvocation, host: str, request: Request) -> Answer | None:
        declared = recipient_of(host, read_recipients(job.recipients), job.configuration)
        purpose = purpose_of(job.purpose if declared is not None else "")
        receiver = Receiver(Kind.RULE_HOST, host[:64], declared or host, host, purpose)
        attributes = sent_attributes(request, self._values)
        profile = _current(self._profile_id)
        if refused := _refused(profile, purpose, job, host):
            return refused
        assert profile is not None
        if is_recorded(profile, receiver, attributes):
            return None
        with transaction.atomic():
            # A decision of the customer locks their row too: it comes before this and is seen here, or after it and finds
            # the disclosure.
            profile = Profile.objects.select_for_update().filter(pk=profile.pk).first()
            if refused := _refused(profile, purpose, job, host):
                return refused
            assert profile is not None
            record_direct(profile, receiver, attributes)
        return None


def is_own_address(url: httpx2.URL) -> bool:
    """Return whether a request stays here: with `auth0.accessToken` rules call the Management API of this installation."""
    own = urlsplit(settings.PUBLIC_URL)
    ports = {"http": 80, "https": 443}
    return (url.host.lower(), url.port or ports.get(url.scheme)) == (own.hostname, own.port or ports.get(own.scheme))


def _current(profile_id: int) -> Profile | None:
    """Return the customer that a profile is by now; None when they were erased."""
    found = Profile.objects.select_related("merged_into").filter(pk=profile_id).first()
    return (found.merged_into or found) if found else None


def _refused(profile: Profile | None, purpose: str, job: RuleInvocation, host: str) -> Answer | None:
    if profile is None:
        return refusal(ERASED, f"The customer was erased; {host} is not called.")
    if _is_open(profile, purpose, job):
        return None
    return refusal(PURPOSE_CLOSED, f"The customer does not allow the purpose {purpose!r}; {host} is not called.")


def _is_open(profile: Profile, key: str, job: RuleInvocation) -> bool:
    purpose = Purpose.objects.filter(key=key, active=True).first()
    if purpose is None:
        return False
    if purpose.basis == Purpose.Basis.CONTRACT:
        # While processing is restricted, only what the login itself needs goes on: the answer to a rule that guards it.
        return profile.restricted_at is None or job.deny_on_failure
    return ConsentStatus.of([profile], clock.now())[profile.pk].allows(purpose)
