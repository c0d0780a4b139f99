"""A publisher applies; an operator decides."""

from __future__ import annotations

import asyncpg
import pytest

from marketplace import db
from marketplace.cities import CITIES
from marketplace.errors import Invalid, NotFound, Refused
from marketplace.ids import new_id
from marketplace.publishers import publisher, stores, tills
from merchants import onboarding
from merchants.applications import (
    application_of,
    approve,
    history_of,
    reject,
    send_back,
    waiting_applications,
)
from merchants.onboarding import Owner
from merchants.staff import memberships_of
from tests.merchants.people import PHONE, a_told, an_application


async def test_a_publisher_that_applies_has_an_owner_a_store_and_a_till_and_is_not_active(database):
    owner = await an_application()

    assert (owner.role, owner.publisher_status) == ("owner", "applied")
    assert [one.name for one in await stores(publisher=owner.publisher)] == ["老街店"]
    assert len(await tills(publisher=owner.publisher)) == 1
    application = await application_of(owner.publisher)
    assert (application.state, application.contact_phone) == ("submitted", PHONE)
    assert [one.id for one in await waiting_applications(limit=10)] == [owner.publisher]


async def test_everything_that_is_wrong_is_told_at_once(database):
    told = a_told(
        licence="1", name=" ", kind="shop", city="420400", contact_name="", store_name="", store_address=""
    )

    with pytest.raises(Invalid) as wrong:
        await onboarding.apply(told, phone=PHONE, owner=Owner(login="A", password_hash="x"))

    assert {error.field for error in wrong.value.errors} == {
        "licence", "name", "kind", "city", "contact_name", "store.name", "store.address", "login",
    }  # fmt: skip
    assert await db.fetch_value("SELECT count(*) FROM publisher") == 0


def test_hubei_has_seventeen_cities():
    assert len(set(CITIES)) == 17


@pytest.mark.parametrize("city", CITIES)
def test_every_city_may_apply(city):
    assert onboarding.checked(a_told(city=city)).city == city


async def test_a_licence_applies_once_and_again_after_a_rejection(database):
    first = await an_application()
    licence = (await application_of(first.publisher)).licence
    with pytest.raises(Invalid) as wrong:
        await an_application(licence=licence)
    assert wrong.value.errors == (("licence", "taken"),)
    assert (
        await db.fetch_value("SELECT count(*) FROM staff") == 1
    )  # the second one's account was not made either

    await reject(publisher=first.publisher, revision=1, reason="执照已注销", actor="operator:test")

    again = await an_application(licence=licence, owner=first.person)
    assert [one.publisher_status for one in await memberships_of(first.person)] == ["closed", "applied"]
    assert again.publisher != first.publisher


async def test_an_account_that_somebody_has_is_not_given_to_another(database):
    await an_application(owner=Owner(login="wang", password_hash="x"))
    with pytest.raises(Invalid) as wrong:
        await an_application(owner=Owner(login="wang", password_hash="y"))
    assert wrong.value.errors == (("login", "taken"),)
    assert await db.fetch_value("SELECT count(*) FROM publisher") == 1


async def test_what_is_sent_back_is_mended_and_approved(database):
    owner = await an_application()
    of = {"publisher": owner.publisher, "actor": "operator:test"}

    await send_back(revision=1, reason=" 地址写到门牌号 ", **of)
    returned = await application_of(owner.publisher)
    assert (returned.state, returned.reason) == ("returned", "地址写到门牌号")
    assert await waiting_applications(limit=10) == []

    mended = a_told(licence=returned.licence, store_address="解放路 14 号", kind="venue")
    await onboarding.mend(mended, publisher=owner.publisher, actor="staff:test")
    application = await application_of(owner.publisher)
    assert (application.state, application.revision, application.store_address, application.kind) == (
        "submitted", 2, "解放路 14 号", "venue",
    )  # fmt: skip

    with pytest.raises(Refused, match="application_changed"):
        await approve(revision=1, **of)
    await approve(revision=2, **of)
    assert (await publisher(owner.publisher)).status == "active"
    assert [one.event for one in await history_of(owner.publisher)] == [
        "submitted", "returned", "submitted", "approved",
    ]  # fmt: skip


async def test_mending_does_not_take_anothers_licence(database):
    other, owner = await an_application(), await an_application()
    licence = (await application_of(other.publisher)).licence
    await send_back(publisher=owner.publisher, revision=1, reason="请核对", actor="operator:test")

    with pytest.raises(Invalid) as wrong:
        await onboarding.mend(a_told(licence=licence), publisher=owner.publisher, actor="staff:test")

    assert wrong.value.errors == (("licence", "taken"),)
    assert (await application_of(owner.publisher)).state == "returned"


async def test_only_what_was_sent_back_is_mended(database):
    owner = await an_application()
    with pytest.raises(Refused, match="application_decided"):
        await onboarding.mend(a_told(), publisher=owner.publisher, actor="staff:test")


async def test_what_is_decided_is_not_decided_again(database):
    owner = await an_application()
    await approve(publisher=owner.publisher, revision=1, actor="operator:test")
    for verb in (send_back, reject):
        with pytest.raises(Refused, match="application_decided"):
            await verb(publisher=owner.publisher, revision=1, reason="x", actor="operator:test")
    with pytest.raises(NotFound):
        await approve(publisher=new_id(), revision=1, actor="operator:test")


async def test_nobody_is_sent_back_without_a_reason(database):
    owner = await an_application()
    with pytest.raises(Invalid):
        await send_back(publisher=owner.publisher, revision=1, reason="  ", actor="operator:test")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE application SET state = 'approved', decided_at = now()",  # and the publisher stays applied
        "UPDATE application SET state = 'returned', decided_at = now()",  # and no reason
        "UPDATE application SET state = 'submitted', revision = 2",
        "UPDATE application_event SET actor = 'somebody else'",
        "DELETE FROM application_event",
    ],
)
async def test_the_database_refuses_what_no_verb_does(database, statement):
    await an_application()
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await db.execute(statement)
