"""One message over HTTP: its signature, where it goes, and what comes of each answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest
import respx
from standardwebhooks import Webhook

from marketplace import clock
from marketplace.ids import new_id
from merchants.webhooks import addresses, sending
from merchants.webhooks.sending import message_id, new_client, send, signed_headers
from tests.merchants.webhooks.receiver import receiving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


async def posted(url: str, *, loopback: bool = False) -> sending.Outcome:
    async with new_client() as client:
        return await send(client, url, headers={}, body="{}", loopback=loopback, at=NOW)


def test_the_reference_librarys_own_vector_is_signed_alike():
    headers = signed_headers(
        [SECRET], message="msg_p5jXN8AQM9LWM0D4loKWxJek", at=datetime.fromtimestamp(1614265330, UTC),
        body='{"test": 2432232314}',
    )  # fmt: skip
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_several_secrets_sign_side_by_side():
    other = "whsec_" + "B" * 43 + "="
    headers = signed_headers([SECRET, other], message=message_id(new_id()), at=clock.now(), body='{"a":1}')
    for secret in (SECRET, other):
        assert Webhook(secret).verify('{"a":1}', headers) == {"a": 1}
    assert len(headers["webhook-signature"].split(" ")) == 2


@pytest.fixture
def public(monkeypatch):
    """Every name is at one public address."""

    async def resolved(host: str, port: int) -> list[str]:
        return ["93.184.215.14"]

    monkeypatch.setattr(addresses, "resolve", resolved)


@respx.mock
async def test_the_address_that_was_judged_is_connected_to_under_the_name_that_was_given(public):
    route = respx.post("https://93.184.215.14:8443/hook?a=1").respond(204)
    assert (await posted("https://shop.example.com:8443/hook?a=1")).fault is None
    request = route.calls.last.request
    assert request.headers["host"] == "shop.example.com:8443"
    assert request.extensions["sni_hostname"] == "shop.example.com"
    assert request.headers["content-type"] == "application/json"


@respx.mock
async def test_a_name_that_leads_inside_by_now_is_not_sent_to(monkeypatch):
    answers = iter([["93.184.215.14"], ["169.254.169.254"]])

    async def rebinding(host: str, port: int) -> list[str]:
        return next(answers)

    monkeypatch.setattr(addresses, "resolve", rebinding)
    route = respx.route().respond(200)
    assert (await posted("https://shop.example.com/")).fault is None
    refused = await posted("https://shop.example.com/")
    assert (refused.fault, refused.status, route.call_count) == ("not_public", None, 1)


@pytest.mark.parametrize(
    ("status", "fault"),
    [(200, None), (204, None), (299, None), (301, "redirected"), (307, "redirected"), (400, "refused"),
     (410, "refused"), (429, "refused"), (500, "refused")],
)  # fmt: skip
@respx.mock
async def test_only_a_2xx_means_that_it_arrived_and_no_redirect_is_followed(public, status, fault):
    route = respx.route().respond(status, headers={"location": "http://169.254.169.254/"}, text="hello")
    outcome = await posted("https://shop.example.com/")
    assert (outcome.status, outcome.fault, route.call_count) == (status, fault, 1)


@pytest.mark.parametrize(
    ("given", "rest"),
    [("30", 30), ("Tue, 24 Nov 2026 12:01:00 GMT", 60), ("Tue, 24 Nov 2026 11:00:00 GMT", 0), ("soon", None),
     ("-5", None), ("9" * 400, 86_400)],
)  # fmt: skip
@respx.mock
async def test_retry_after_is_read_in_seconds_or_as_a_date(public, given, rest):
    respx.route().respond(503, headers={"retry-after": given})
    outcome = await posted("https://shop.example.com/")
    assert outcome.rest == (None if rest is None else timedelta(seconds=rest))


@pytest.mark.parametrize(
    ("error", "fault"),
    [(httpx.ConnectError("x"), "connection_failed"), (httpx.ReadTimeout("x"), "timeout"),
     (httpx.RemoteProtocolError("x"), "connection_failed")],
)  # fmt: skip
@respx.mock
async def test_what_the_network_does_is_a_fault_and_never_an_error(public, error, fault):
    respx.route().mock(side_effect=error)
    assert (await posted("https://shop.example.com/")).fault == fault


async def test_little_of_an_answer_is_read_and_what_it_has_is_fit_to_be_kept(database):
    async with receiving() as receiver:
        receiver.status, receiver.answer = 500, b"\x00\xff<script>" + b"x" * 5_000_000
        outcome = await posted(receiver.url, loopback=True)
    assert (outcome.status, outcome.fault) == (500, "refused")
    assert len(outcome.answer) <= sending.ANSWER_BYTES
    assert "\x00" not in outcome.answer


async def test_who_does_not_answer_in_time_did_not_get_it(database, monkeypatch):
    monkeypatch.setattr(sending, "ANSWER_SECONDS", 0.2)
    async with receiving() as receiver:
        receiver.pause = 1.0
        outcome = await posted(receiver.url, loopback=True)
    assert (outcome.status, outcome.fault) == (None, "timeout")


async def test_plain_http_to_this_machine_is_for_demonstrations(database):
    async with receiving() as receiver:
        assert (await posted(receiver.url)).fault == "not_https"
        assert receiver.got == []
