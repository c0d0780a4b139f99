"""Races of people: who joins, who decides, who leaves last."""

from __future__ import annotations

import asyncio
from collections import Counter

from marketplace import db
from marketplace.identity.stores import MemoryStore
from merchants.applications import application_of, approve, history_of, reject, send_back
from merchants.invitations import Account, invite, join, join_as_new
from merchants.members import change_role, members_of, remove_member
from merchants.stores import open_store
from tests import builders
from tests.builders import code_of
from tests.merchants.people import PASSWORD, a_licence, a_member, an_application


async def outcomes(*calls: object) -> Counter[str]:
    """How calls at the same time ended."""
    return Counter(code_of(outcome) for outcome in await asyncio.gather(*calls, return_exceptions=True))


async def test_of_those_who_accept_one_invitation_one_joins(database):
    owner, store = await a_member(), MemoryStore()
    people = [await a_member() for _ in range(3)]
    _, token = await invite(publisher=owner.publisher, by=owner.id, role="cashier")

    ended = await outcomes(
        *(join(token, person=one.person, store=store) for one in people),
        *(join_as_new(token, Account(f"new-{n}", "新人", PASSWORD), store=store) for n in range(3)),
    )

    assert ended == {"ok": 1, "invitation_over": 5}
    assert len(await members_of(owner.publisher)) == 2


async def test_of_the_operators_who_decide_one_application_one_does(database):
    for _ in range(5):
        owner = await an_application()
        of = {"publisher": owner.publisher, "revision": 1}
        ended = await outcomes(
            approve(actor="operator:a", **of), send_back(actor="operator:b", reason="请补充", **of),
            reject(actor="operator:c", reason="不符", **of), approve(actor="operator:d", **of),
        )  # fmt: skip
        assert ended == {"ok": 1, "application_decided": 3}
        decided = await application_of(owner.publisher)
        assert [one.event for one in await history_of(owner.publisher)] == ["submitted", decided.state]


async def test_owners_who_leave_at_the_same_time_leave_one(database):
    for _ in range(5):
        owners = [await a_member()]
        publisher = owners[0].publisher
        owners += [await a_member(publisher) for _ in range(3)]
        ended = await outcomes(
            *(remove_member(publisher=publisher, membership=one.id) for one in owners[:2]),
            *(change_role(publisher=publisher, membership=one.id, role="cashier") for one in owners[2:]),
        )
        assert ended == {"ok": 3, "last_owner": 1}
        assert [one.role for one in await members_of(publisher)].count("owner") == 1


async def test_statements_that_go_round_the_verbs_leave_an_owner_too(database):
    one = await a_member()
    other = await a_member(one.publisher)
    ended = await asyncio.gather(
        *(db.execute("UPDATE membership SET role = 'cashier' WHERE id = $1", m.id) for m in (one, other)),
        return_exceptions=True,
    )
    assert sorted(type(outcome).__name__ for outcome in ended) == ["IntegrityConstraintViolationError", "int"]


async def test_a_licence_that_applies_twice_at_the_same_time_applies_once(database):
    licence = a_licence()
    ended = await outcomes(*(an_application(licence=licence) for _ in range(4)))
    assert ended == {"ok": 1, "validation_failed": 3}


async def test_a_form_sent_twice_opens_one_store(database):
    publisher = await builders.a_publisher()
    ended = await outcomes(
        *(open_store(publisher=publisher, name="江边店", address="江边 3 号") for _ in range(4))
    )
    assert ended == {"ok": 1, "validation_failed": 3}
