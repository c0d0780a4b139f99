"""A person in several teams, who leaves and joins, and the stores that a team runs."""

from __future__ import annotations

from datetime import timedelta

import asyncpg
import pytest

from marketplace import db
from marketplace.clock import travelled
from marketplace.errors import Invalid, NotFound, Refused
from marketplace.identity.stores import MemoryStore
from marketplace.identity.tokens import Principal, issue_token, principal_of
from marketplace.publishers import stores, tills
from merchants.invitations import (
    GOOD_FOR,
    MOST_OPEN,
    Account,
    invite,
    invited_to,
    join,
    join_as_new,
    open_invitations,
    withdraw,
)
from merchants.members import change_role, members_of, remove_member
from merchants.staff import act_for, memberships_of, person_of, staff_member, staff_sign_in
from merchants.stores import open_store, rename_store
from tests import builders
from tests.merchants.people import PASSWORD, a_member

ADDRESS = "192.0.2.1"


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


async def test_a_person_acts_for_the_publisher_that_they_chose_last(database, store):
    first = await a_member(login="li")
    owner = await a_member()
    _, token = await invite(publisher=owner.publisher, by=owner.id, role="cashier")
    await join(token, person=first.person, store=store)
    there = next(m for m in await memberships_of(first.person) if m.publisher == owner.publisher)

    assert (await staff_sign_in("li", PASSWORD, address=ADDRESS, store=store)).principal.id == first.id
    await act_for(person=first.person, membership=there.id, store=store)
    assert (await staff_sign_in("li", PASSWORD, address=ADDRESS, store=store)).principal.id == there.id


async def test_nobody_acts_by_anothers_membership(database, store):
    one, other = await a_member(), await a_member()
    with pytest.raises(NotFound):
        await act_for(person=one.person, membership=other.id, store=store)


async def test_who_is_removed_has_no_session_token_or_invitation_left(database, store):
    owner = await a_member()
    second = await a_member(owner.publisher, login="li")
    session = await staff_sign_in("li", PASSWORD, address=ADDRESS, store=store)
    lasting = await issue_token(Principal("staff", str(second.id)))
    _, link = await invite(publisher=owner.publisher, by=second.id, role="owner")

    await remove_member(publisher=owner.publisher, membership=second.id)

    assert await person_of(session.principal.id) is None
    assert await principal_of(lasting, store=store) is None
    with pytest.raises(Refused, match="invitation_over"):
        await invited_to(link)
    again = await staff_sign_in("li", PASSWORD, address=ADDRESS, store=store)
    assert again.principal.id == second.person  # they are somebody still, and act for nobody
    person = await person_of(second.person)
    assert person is not None
    assert person.acting is None


async def test_the_last_owner_stays_one(database):
    owner = await a_member()
    cashier = await a_member(owner.publisher, role="cashier")
    with pytest.raises(Refused, match="last_owner"):
        await remove_member(publisher=owner.publisher, membership=owner.id)
    with pytest.raises(Refused, match="last_owner"):
        await change_role(publisher=owner.publisher, membership=owner.id, role="manager")
    await change_role(publisher=owner.publisher, membership=owner.id, role="owner")

    await change_role(publisher=owner.publisher, membership=cashier.id, role="owner")
    await remove_member(publisher=owner.publisher, membership=owner.id)
    assert [(one.id, one.role) for one in await members_of(owner.publisher)] == [(cashier.id, "owner")]


@pytest.mark.parametrize(
    "change", ["UPDATE membership SET role = 'cashier'", "UPDATE membership SET ended_at = now() + interval '1 hour'",
               "DELETE FROM membership"],
)  # fmt: skip
async def test_the_database_keeps_an_owner_too(database, change):
    await a_member()
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="no owner"):
        await db.execute(change)


async def test_another_publishers_member_does_not_exist(database):
    owner, other = await a_member(), await a_member()
    with pytest.raises(NotFound):
        await remove_member(publisher=owner.publisher, membership=other.id)
    with pytest.raises(NotFound):
        await change_role(publisher=owner.publisher, membership=other.id, role="cashier")
    assert await staff_member(other.id) == other


async def test_a_demoted_owner_has_no_invitation_out(database):
    owner = await a_member()
    second = await a_member(owner.publisher)
    _, token = await invite(publisher=owner.publisher, by=second.id, role="owner")
    await change_role(publisher=owner.publisher, membership=second.id, role="cashier")
    with pytest.raises(Refused, match="invitation_over"):
        await invited_to(token)


# ------------------------------------------------------------------ invitations
async def test_an_invitation_makes_an_account_and_is_good_once(database, store):
    owner = await a_member()
    _, token = await invite(publisher=owner.publisher, by=owner.id, role="manager", note="早班")
    assert (await invited_to(token)).role == "manager"

    session = await join_as_new(token, Account("Xiao.Wang", "小王", PASSWORD), store=store)

    joined = await staff_member(session.principal.id)
    assert joined is not None
    assert (joined.name, joined.role, joined.publisher) == ("小王", "manager", owner.publisher)
    assert (
        await staff_sign_in("xiao.wang", PASSWORD, address=ADDRESS, store=store)
    ).principal.id == joined.id
    with pytest.raises(Refused, match="invitation_over"):
        await join_as_new(token, Account("other", "别人", PASSWORD), store=store)


async def test_what_is_wrong_with_an_account_leaves_the_invitation_open(database, store):
    owner = await a_member(login="taken")
    _, token = await invite(publisher=owner.publisher, by=owner.id, role="cashier")
    for account, field in (
        (Account("x", "小王", PASSWORD), "login"), (Account("wang", "", PASSWORD), "name"),
        (Account("wang", "小王", "short"), "password"), (Account("taken", "小王", PASSWORD), "login"),
    ):  # fmt: skip
        with pytest.raises(Invalid) as wrong:
            await join_as_new(token, account, store=store)
        assert [error.field for error in wrong.value.errors] == [field]
    await join_as_new(token, Account("wang", "小王", PASSWORD), store=store)


async def test_a_member_who_is_in_already_does_not_use_the_invitation_up(database, store):
    owner = await a_member()
    _, token = await invite(publisher=owner.publisher, by=owner.id, role="cashier")
    with pytest.raises(Refused, match="already_member"):
        await join(token, person=owner.person, store=store)
    assert len(await open_invitations(owner.publisher)) == 1


async def test_an_invitation_ends_after_a_week_and_when_it_is_withdrawn(database):
    owner, other = await a_member(), await a_member()
    made, token = await invite(publisher=owner.publisher, by=owner.id, role="cashier")
    with pytest.raises(NotFound):
        await withdraw(publisher=other.publisher, invitation=made.id)
    with travelled(GOOD_FOR - timedelta(seconds=5)):
        await invited_to(token)
    with travelled(GOOD_FOR), pytest.raises(Refused, match="invitation_over"):
        await invited_to(token)
    await withdraw(publisher=owner.publisher, invitation=made.id)
    with pytest.raises(Refused, match="invitation_over"):
        await invited_to(token)
    with pytest.raises(NotFound):
        await withdraw(publisher=owner.publisher, invitation=made.id)


async def test_the_token_is_kept_nowhere(database):
    owner = await a_member()
    _, token = await invite(publisher=owner.publisher, by=owner.id, role="cashier")
    assert token not in str([dict(row) for row in await db.fetch("SELECT * FROM invitation")])


async def test_there_are_only_so_many_open_invitations(database):
    owner = await a_member()
    for _ in range(MOST_OPEN):
        made, _ = await invite(publisher=owner.publisher, by=owner.id, role="cashier")
    with pytest.raises(Refused, match="too_many_invitations"):
        await invite(publisher=owner.publisher, by=owner.id, role="cashier")
    await withdraw(publisher=owner.publisher, invitation=made.id)
    await invite(publisher=owner.publisher, by=owner.id, role="cashier")


# ------------------------------------------------------------------ stores
async def test_a_new_store_has_a_till_and_a_name_of_its_own(database):
    publisher = await builders.a_publisher(stores=["光谷店"])
    opened = await open_store(publisher=publisher, name=" 江边店 ", address="江边 3 号")
    assert [one.store for one in await tills(publisher=publisher)] == [opened]
    for name in ("江边店", "光谷店"):
        with pytest.raises(Invalid) as wrong:
            await open_store(publisher=publisher, name=name, address="别处")
        assert wrong.value.errors == (("name", "taken"),)

    await rename_store(publisher=publisher, store=opened, name="江边店", address="江边 5 号")
    await rename_store(publisher=publisher, store=opened, name="码头店", address="江边 5 号")
    assert [(one.name, one.address) for one in await stores(publisher=publisher)][1] == (
        "码头店",
        "江边 5 号",
    )


async def test_another_publishers_store_does_not_exist(database):
    publisher, store_of_another = await builders.a_publisher(), await builders.a_store()
    with pytest.raises(NotFound):
        await rename_store(publisher=publisher, store=store_of_another, name="我的", address="我的")
