"""Cut a provider's answer to what the login needs and the customer chose to share, before anything is stored."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from contextvars import ContextVar
from copy import deepcopy
from typing import Any

from .provider import Provider, ProviderClaim, Raw, Settings

log = logging.getLogger("regulars.connections")

MOST_READINGS = 2000  # of one answer; a real one takes some dozens

_is_trial: ContextVar[bool] = ContextVar("is_trial", default=False)
log.addFilter(lambda record: not _is_trial.get())  # what is odd about the answer was logged when it was read first


class _TooManyReadingsError(Exception):
    pass


def shared_claims(shared: Collection[str]) -> Callable[[ProviderClaim], bool]:
    """Return a filter of the claims of the login itself and of the requested claims that were shared."""
    return lambda claim: not claim.requested_claim or claim.requested_claim in shared


def cut(raw: Raw, kind: Provider, settings: Settings, kept: Callable[[ProviderClaim], bool]) -> Raw:
    """Return the parts of an answer that the user's id and the `kept` claims are read from.

    A part is kept if the kind of provider reads something else without it. So nothing has to be declared by a provider, and
    neither a claim that the customer left unticked nor one that this project does not know is ever stored.
    """
    trial = _is_trial.set(True)
    try:
        return _Cut(deepcopy(raw), kind, settings, kept).result()
    except _TooManyReadingsError:
        log.warning("an answer of a %s connection has too many parts; it is not stored", kind.key)
        return {}
    finally:
        _is_trial.reset(trial)


class _Cut:
    def __init__(self, raw: Raw, kind: Provider, settings: Settings, kept: Callable[[ProviderClaim], bool]) -> None:
        self.raw, self.kind, self.settings, self.kept = raw, kind, settings, kept
        self.readings = 0
        self.wanted = self._reading()

    def result(self) -> Raw:
        self._prune(self.raw)
        return self.raw

    def _prune(self, part: Any) -> None:
        """Take away what is not needed, the whole of a part before its parts. What stays keeps its order."""
        if isinstance(part, dict):
            for key in list(part):
                value = part.pop(key)
                if not self._is_same():
                    part[key] = value
                    self._prune(value)
        elif isinstance(part, list):
            for place in reversed(range(len(part))):
                value = part.pop(place)
                if not self._is_same():
                    part.insert(place, value)
                    self._prune(value)

    def _is_same(self) -> bool:
        return self._reading() == self.wanted

    def _reading(self) -> object:
        """Return what matters of the answer as it is now, or the error that reading it raises."""
        self.readings += 1
        if self.readings > MOST_READINGS:
            raise _TooManyReadingsError
        try:
            claims = list(self.kind.read(self.raw, self.settings))
            user_id = self.kind.user_id_of(self.raw, self.settings)
        except Exception as fault:  # a kind may be a plug-in
            return type(fault)
        return user_id, [each for each in claims if self.kept(each)]
