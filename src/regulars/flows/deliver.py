"""A delivery's turn has come."""

from __future__ import annotations

from typing import Any

from regulars.base.jobs.queue import handles
from regulars.destinations.deliver import ATTEMPTS
from regulars.destinations.deliver import deliver as send
from regulars.destinations.models import Delivery
from regulars.destinations.queue import JOB


# The delivery counts its own attempts; the job has room for workers that died before they could.
@handles(JOB, attempts=2 * ATTEMPTS, calls_out=True)
def deliver(payload: dict[str, Any]) -> None:
    """Payload: `{"delivery": id}`. A delivery that is gone went with its customer or its destination."""
    delivery = Delivery.objects.select_related("destination", "profile").filter(pk=payload["delivery"]).first()
    if delivery is not None:
        send(delivery)
