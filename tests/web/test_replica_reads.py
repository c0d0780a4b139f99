"""What the web reads from the replica: what everybody sees, and never what somebody has just changed."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from litestar import Litestar

from marketplace.identity.stores import MemoryStore
from tests import builders
from tests.marketplace.test_replica import asked_replica, replica, replica_url, rested  # noqa: F401  (fixtures)
from tests.web.test_auth import served
from tests.web.test_kept import a_visitor, an_app, seen
from tests.web.test_pages import a_signed_in_operator
from web.kept import KeptAnswers


async def who_answers() -> bytes:
    return b"replica" if await asked_replica() else b"database"


@pytest.fixture
async def app(replica: str) -> AsyncIterator[Litestar]:  # noqa: F811
    """An application whose replica has none of what a test makes: it is that far behind."""
    app = an_app()
    async with served(app):
        yield app


async def test_the_catalogue_is_made_from_the_replica_until_offers_change(replica):  # noqa: F811
    answers = KeptAnswers(MemoryStore())
    assert await answers.answer("all", who_answers) == b"replica"
    await answers.forget()
    assert await answers.answer("all", who_answers) == b"database"


async def test_a_visitor_is_shown_the_replica_and_a_change_as_soon_as_it_is_told(app):
    await builders.an_offer(title="好礼")
    assert await seen(app) == ([], 0)
    await app.state.kept.forget()
    assert await seen(app) == (["好礼"], 1)


async def test_one_offer_is_read_from_the_database(app):
    offer = await builders.an_offer(title="好礼")
    assert "好礼" in await a_visitor(app).open(f"/offers/{offer.id}")


async def test_the_operator_who_settles_sees_what_came_of_it(app):
    offer = await builders.an_offer(price_g=400)
    _, code = await builders.redeemed(offer)
    await builders.verify(await builders.a_till(of=offer), code)
    operator = a_visitor(app)
    await a_signed_in_operator(operator)
    assert "待清算" not in await operator.open("/operator/settlement")
    assert "已登记注销" in await operator.send("/operator/settlement")
