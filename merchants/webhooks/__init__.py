"""Webhooks (Standard Webhooks 1.0): a publisher's own systems are told what happened, soon after it did.

What happened is found in the rows that it left (`finding`), is owed to each endpoint that asked for it, once
(`webhook_delivery`), and is sent until it arrives or the schedule is at its end (`deliveries`, `sending`).

- an event is found once, whatever order transactions committed in, and no transaction that moves value waits for it;
- a message has one id per event and endpoint, however often it is sent: who receives it twice can tell;
- no message names a person, and none goes to an address that is not public.
"""

from merchants.webhooks.endpoints import (
    Endpoint,
    EndpointChange,
    NewEndpoint,
    Secret,
    change_endpoint,
    create_endpoint,
    delete_endpoint,
    endpoint_of,
    endpoints_of,
    rotate_secret,
)
from merchants.webhooks.events import KINDS
from merchants.webhooks.log import (
    Attempt,
    Delivery,
    attempts_of,
    deliveries_of,
    replay,
    replay_one,
    send_test,
)

__all__ = [
    "KINDS", "Attempt", "Delivery", "Endpoint", "EndpointChange", "NewEndpoint", "Secret", "attempts_of",
    "change_endpoint", "create_endpoint", "delete_endpoint", "deliveries_of", "endpoint_of", "endpoints_of", "replay",
    "replay_one", "rotate_secret", "send_test",
]  # fmt: skip
