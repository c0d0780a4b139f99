"""Messages arrive: signed, again after a failure by the schedule, and until the endpoint is given up."""

from __future__ import annotations

from datetime import timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from marketplace import clock, db
from marketplace.errors import NotFound, Refused
from merchants import webhooks
from merchants.webhooks import deliveries
from merchants.webhooks.deliveries import JITTER, SCHEDULE, forget_old, next_attempt
from merchants.webhooks.finding import find
from merchants.webhooks.sending import Outcome
from tests.builders import a_publisher, an_offer, redeemed
from tests.merchants.webhooks.receiver import an_endpoint, messages, receiving, sent

SOON = timedelta(minutes=1)


@pytest.fixture
async def offer(database):
    return await an_offer()


@pytest.fixture
async def receiver(database):
    async with receiving() as receiver:
        yield receiver


async def test_a_redemption_arrives_signed(offer, receiver):
    secret = await an_endpoint(offer.publisher.id, receiver.url)
    redemption, _ = await redeemed(offer)
    await find()
    assert await sent() == 1
    [message] = receiver.got
    said = Webhook(secret.secret).verify(message.body, message.headers)
    assert said["type"] == "redemption.created"
    assert said["data"]["redemption_id"] == str(redemption)
    assert await sent() == 0
    [shown] = await messages(offer.publisher.id, secret.id)
    assert (shown.state, shown.attempts, shown.message_id) == ("delivered", 1, message.id)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret.secret).verify(message.body + " ", message.headers)


async def test_after_a_change_of_secret_both_sign_for_a_day(offer, receiver):
    old = await an_endpoint(offer.publisher.id, receiver.url)
    new = await webhooks.rotate_secret(publisher=offer.publisher.id, endpoint=old.id)
    assert new.secret != old.secret
    await webhooks.send_test(publisher=offer.publisher.id, endpoint=old.id)
    await sent()
    [message] = receiver.got
    for secret in (old.secret, new.secret):
        assert Webhook(secret).verify(message.body, message.headers)["type"] == "webhook.test"
    with clock.travelled(timedelta(hours=24, seconds=1)):
        await webhooks.send_test(publisher=offer.publisher.id, endpoint=old.id)
        await sent()
    assert len(receiver.got[1].headers["webhook-signature"].split(" ")) == 1


async def test_a_secret_is_nowhere_but_in_the_answer(offer, receiver):
    secret = await an_endpoint(offer.publisher.id, receiver.url)
    row = await db.fetch_row("SELECT * FROM webhook_endpoint")
    assert secret.secret.encode() not in row["secret"]
    shown = await webhooks.endpoint_of(publisher=offer.publisher.id, endpoint=secret.id)
    assert secret.secret not in repr(shown)


async def test_what_fails_is_sent_again_by_the_schedule_under_the_same_id_until_it_has_failed(
    offer, receiver
):
    endpoint = await an_endpoint(offer.publisher.id, receiver.url)
    await webhooks.send_test(publisher=offer.publisher.id, endpoint=endpoint.id)
    receiver.status = 500
    assert await sent() == 1
    gone = timedelta()
    for wait in SCHEDULE:
        with clock.travelled(gone + wait * (1 - JITTER) - timedelta(seconds=2)):
            assert await sent() == 0
        gone += wait * (1 + JITTER) + timedelta(seconds=2)
        with clock.travelled(gone):
            await db.execute("UPDATE webhook_endpoint SET failing_since = NULL")
            assert await sent() == 1
    with clock.travelled(gone + timedelta(days=30)):
        assert await sent() == 0
    assert len(receiver.got) == len(SCHEDULE) + 1
    assert len({(message.id, message.body) for message in receiver.got}) == 1
    assert len({message.headers["webhook-timestamp"] for message in receiver.got}) == len(receiver.got)
    [shown] = await messages(offer.publisher.id, endpoint.id)
    assert (shown.state, shown.attempts, shown.last_status) == ("failed", 10, 500)


def test_waits_differ_so_that_not_all_come_back_at_once():
    failed, now = Outcome(500, "refused", 1), clock.now()
    waits = {next_attempt(1, failed, now=now) for _ in range(50)}
    assert len(waits) > 10
    assert all(now + SCHEDULE[1] * 0.8 <= wait <= now + SCHEDULE[1] * 1.2 for wait in waits if wait)
    assert next_attempt(len(SCHEDULE), failed, now=now) is None


async def test_who_asks_for_patience_is_left_alone(offer, receiver):
    endpoint = await an_endpoint(offer.publisher.id, receiver.url)
    receiver.status, receiver.headers = 429, "Retry-After: 600\r\n"
    await webhooks.send_test(publisher=offer.publisher.id, endpoint=endpoint.id)
    assert await sent() == 1
    await webhooks.send_test(publisher=offer.publisher.id, endpoint=endpoint.id)
    with clock.travelled(timedelta(minutes=9)):
        assert await sent() == 0
    receiver.status = 204
    with clock.travelled(timedelta(minutes=11)):
        assert await sent() == 2


async def test_an_endpoint_that_is_gone_gets_nothing_more_and_its_publisher_is_told(offer, receiver):
    endpoint = await an_endpoint(offer.publisher.id, receiver.url)
    receiver.status = 410
    await webhooks.send_test(publisher=offer.publisher.id, endpoint=endpoint.id)
    await sent()
    shown = await webhooks.endpoint_of(publisher=offer.publisher.id, endpoint=endpoint.id)
    assert (shown.enabled, shown.disabled_because) == (False, "gone")
    with clock.travelled(SOON):
        assert await sent() == 0
    other = await an_endpoint(offer.publisher.id, receiver.url, "webhook.disabled")
    await db.execute("UPDATE webhook_endpoint SET created_at = created_at WHERE false")
    assert await db.fetch_value("SELECT facts ->> 'because' FROM publisher_event") == "gone"
    assert await messages(offer.publisher.id, other.id) == []  # it was there later
    with pytest.raises(Refused, match="webhook_disabled"):
        await webhooks.send_test(publisher=offer.publisher.id, endpoint=endpoint.id)


async def test_an_endpoint_at_which_nothing_arrives_for_days_is_given_up_and_goes_on_when_it_is_mended(
    offer, receiver
):
    endpoint = await an_endpoint(offer.publisher.id, receiver.url)
    watcher = await an_endpoint(offer.publisher.id, receiver.url, "webhook.disabled")
    receiver.status = 500
    await webhooks.send_test(publisher=offer.publisher.id, endpoint=endpoint.id)
    await sent()
    own = {"publisher": offer.publisher.id, "endpoint": endpoint.id}
    assert (await webhooks.endpoint_of(**own)).failing_since is not None
    with clock.travelled(timedelta(days=4)):
        await sent()
        assert (await webhooks.endpoint_of(**own)).enabled
    with clock.travelled(timedelta(days=6)):
        await sent()
        assert (await webhooks.endpoint_of(**own)).disabled_because == "failing"
        await find()
        assert [one.kind for one in await messages(offer.publisher.id, watcher.id)] == ["webhook.disabled"]
        receiver.status = 204
        change = webhooks.EndpointChange(enabled=True)
        mended = await webhooks.change_endpoint(**own, change=change)
        assert (mended.enabled, mended.failing_since, mended.waiting) == (True, None, 1)
    with clock.travelled(timedelta(days=7)):
        await sent()
        assert (await webhooks.endpoint_of(**own)).waiting == 0


async def test_one_success_and_nothing_is_failing_any_more(offer, receiver):
    endpoint = await an_endpoint(offer.publisher.id, receiver.url)
    receiver.status = 500
    await webhooks.send_test(publisher=offer.publisher.id, endpoint=endpoint.id)
    await sent()
    receiver.status = 200
    with clock.travelled(SOON):
        await sent()
    assert (
        await webhooks.endpoint_of(publisher=offer.publisher.id, endpoint=endpoint.id)
    ).failing_since is None


async def test_a_message_and_a_stretch_of_time_are_sent_again_under_their_ids(offer, receiver):
    endpoint = await an_endpoint(offer.publisher.id, receiver.url)
    own = {"publisher": offer.publisher.id, "endpoint": endpoint.id}
    begun = clock.now()
    await redeemed(offer)
    await find()
    await sent()
    await webhooks.change_endpoint(**own, change=webhooks.EndpointChange(enabled=False))
    await redeemed(offer)
    await find()
    await webhooks.change_endpoint(**own, change=webhooks.EndpointChange(enabled=True))
    assert await sent() == 0  # it was off, and nothing waited
    [first] = await messages(**own)

    await webhooks.replay_one(**own, delivery=first.id)
    await sent()
    assert await webhooks.replay(**own, since=begun, until=clock.now()) == 2
    await sent()
    ids = [message.id for message in receiver.got]
    assert len(ids) == 4
    assert ids[:2] == [first.message_id] * 2
    assert len(set(ids)) == 2
    delivery, attempts, body = await webhooks.attempts_of(**own, delivery=first.id)
    assert [one.number for one in attempts] == [3, 2, 1]
    assert (delivery.state, body) == ("delivered", receiver.got[0].body)


async def test_anothers_endpoint_and_messages_do_not_exist(offer, receiver):
    endpoint = await an_endpoint(offer.publisher.id, receiver.url)
    delivery = await webhooks.send_test(publisher=offer.publisher.id, endpoint=endpoint.id)
    theirs = {"publisher": await a_publisher(), "endpoint": endpoint.id}
    now = clock.now()
    for attempt in (
        webhooks.endpoint_of(**theirs), webhooks.rotate_secret(**theirs), webhooks.delete_endpoint(**theirs),
        webhooks.send_test(**theirs), webhooks.attempts_of(**theirs, delivery=delivery),
        webhooks.replay_one(**theirs, delivery=delivery), webhooks.replay(**theirs, since=now - SOON, until=now),
        webhooks.change_endpoint(**theirs, change=webhooks.EndpointChange(enabled=False)),
    ):  # fmt: skip
        with pytest.raises(NotFound):
            await attempt


async def test_a_deleted_endpoint_gets_nothing_and_is_seen_no_more(offer, receiver):
    endpoint = await an_endpoint(offer.publisher.id, receiver.url)
    await webhooks.send_test(publisher=offer.publisher.id, endpoint=endpoint.id)
    await webhooks.delete_endpoint(publisher=offer.publisher.id, endpoint=endpoint.id)
    assert await sent() == 0
    assert await webhooks.endpoints_of(offer.publisher.id) == []


async def test_messages_are_forgotten_after_a_month_and_not_while_they_wait(offer, receiver):
    endpoint = await an_endpoint(offer.publisher.id, receiver.url)
    await webhooks.send_test(publisher=offer.publisher.id, endpoint=endpoint.id)
    with clock.travelled(timedelta(days=31)):
        assert await forget_old() == 0
        await sent()
        assert await forget_old() == 1
    assert await db.fetch_value("SELECT count(*) FROM webhook_attempt") == 0


async def test_a_lease_that_ended_lets_another_go_on_and_fences_the_first_off(offer, receiver):
    endpoint = await an_endpoint(offer.publisher.id, receiver.url)
    await webhooks.send_test(publisher=offer.publisher.id, endpoint=endpoint.id)
    [first] = await deliveries.claim()
    due = await db.fetch_row("SELECT id, attempts, retries FROM webhook_delivery")
    assert await deliveries.claim() == []
    with clock.travelled(deliveries.LEASE + SOON):
        assert await sent() == 1
    await deliveries.record(first, due, Outcome(500, "refused", 1), at=clock.now())  # it wakes up
    [shown] = await messages(offer.publisher.id, endpoint.id)
    assert (shown.state, shown.attempts) == ("delivered", 1)
