"""Builders with defaults: publishers, offers taken live, residents with grams. All through the verbs of the trade."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from stdnum.cn import ric

from marketplace import chart, clock, db, ledger, lots, pools, publishers, redemptions, verifications
from marketplace.campaigns.funding import fund
from marketplace.campaigns.opening import create_campaign
from marketplace.errors import ChutanError
from marketplace.identity import otp, persons
from marketplace.identity.realname import RealNames, SandboxIdentityCheck
from marketplace.identity.residents import Person, sign_in
from marketplace.identity.sms import SandboxSms
from marketplace.identity.stores import EphemeralStore
from marketplace.identity.tokens import Session
from marketplace.ids import new_id
from marketplace.offers import lifecycle
from marketplace.offers.eligibility import Eligibility, NoRules
from marketplace.offers.terms import Conditions, Funding, change_from
from marketplace.offers.view import OfferView
from marketplace.residents import create_resident

BENEFITS: dict[str, dict[str, Any]] = {
    "cash_coupon": {"amount_fen": 1_000},
    "discount": {"off_bp": 2_000, "cap_fen": 5_000},
    "gift": {"item": "热干面一份", "value_fen": 800},
    "ticket": {"admits": 1, "value_fen": 3_000},
    "transit": {"amount_fen": 200},
    "code": {"value_fen": 500},
    "rate_perk": {"product": "绿色消费贷", "off_bp": 50},
    "donation": {"cause": "长江江豚保护", "value_fen": 300},
}


# ------------------------------------------------------------------ who publishes
async def a_publisher(
    *,
    kind: publishers.Kind = "merchant",
    name: str = "江城超市",
    city: str = "420100",
    stores: Sequence[str] = (),
) -> UUID:
    """A publisher with a store of each name in `stores`."""
    publisher = await publishers.create_publisher(kind=kind, name=name, city=city)
    for store in stores:
        await a_store(publisher, name=store)
    return publisher


async def a_store(publisher: UUID | None = None, *, name: str = "光谷店") -> UUID:
    publisher = publisher or await a_publisher()
    return await publishers.create_store(publisher=publisher, name=name, address="洪山区珞喻路1号")


async def a_till(store: UUID | None = None, *, of: OfferView | None = None, name: str = "1号机") -> UUID:
    """A till in `store`, or in the first store of the offer `of`."""
    if store is None:
        store = of.stores[0].id if of is not None else await a_store()
    return await publishers.create_till(store=store, name=name)


async def a_campaign(budget_fen: int) -> UUID:
    """A campaign whose budget its funder has filled."""
    campaign = await create_campaign(name="低碳出行季", funder="武汉市")
    if budget_fen:
        await fund(campaign, budget_fen)
    return campaign


async def a_draft(publisher: UUID, *, kind: str = "gift", **more: Any) -> OfferView:
    """A draft of `publisher`'s that could be submitted."""
    given = {"kind": kind, "title": "低碳好礼", "price_g": 100, "benefit": BENEFITS[kind]} | more
    return await lifecycle.create_draft(publisher=publisher, change=change_from(given), actor="test")


async def an_offer(
    *,
    publisher: UUID | None = None,
    stock: int | None = None,
    limit: int | None = None,
    campaign: UUID | None = None,
    conditions: Conditions | None = None,
    rules: Eligibility | None = None,
    codes: Sequence[str] = ("AA", "BB"),
    **more: Any,
) -> OfferView:
    """A live offer; of a new publisher with one store where none is given. `rules` judges its eligibility, `codes` fill
    the pool of the kind `code`."""
    publisher = publisher or await a_publisher(stores=["光谷店"])
    draft = await a_draft(
        publisher, stock_total=stock, per_resident_limit=limit, conditions=conditions,
        funding=Funding(campaign) if campaign else None, **more,
    )  # fmt: skip
    if draft.kind == "code":
        await pools.add_codes(publisher=publisher, offer=draft.id, codes=codes)
    await lifecycle.submit(publisher=publisher, offer=draft.id, actor="test", eligibility=rules)
    return await lifecycle.approve(offer=draft.id, actor="test")


async def edited(offer: OfferView, **change: Any) -> OfferView:
    return await lifecycle.edit(
        publisher=offer.publisher.id, offer=offer.id, change=change_from(change), actor="test"
    )


# ------------------------------------------------------------------ who redeems
async def a_resident(available_g: int = 5_000) -> UUID:
    resident = await create_resident()
    if available_g:
        await a_lot(resident, available_g)
    return resident


async def a_lot(resident: UUID, amount_g: int, *, expires_at: datetime | None = None) -> UUID:
    """Credit one activity record of `amount_g`; answers the record."""
    record = new_id()
    async with db.transaction():
        await lots.credit([
            lots.Credit(
                resident=resident, record=record, methodology="bike-wuhan", methodology_version=1, vintage=2026,
                city="420100", amount_g=amount_g, expires_at=expires_at or clock.now() + timedelta(days=5 * 365),
            )
        ])  # fmt: skip
    return record


def a_key(
    principal: object, key: str = "k", *, operation: str = "test", body: bytes = b"body"
) -> ledger.IdempotencyKey:
    return ledger.IdempotencyKey(str(principal), "test", key, body)


async def redeem(
    resident: UUID, offer: OfferView, key: ledger.IdempotencyKey | None = None
) -> dict[str, Any]:
    return await redemptions.redeem(resident=resident, offer=offer.id, key=key, eligibility=NoRules())


async def redeemed(offer: OfferView, resident: UUID | None = None) -> tuple[UUID, str]:
    """A redemption of `offer`: its id and its coupon's code."""
    answer = await redeem(resident or await a_resident(), offer)
    return UUID(answer["id"]), answer["coupon"]["code"]


async def cancel(
    resident: UUID, redemption: UUID, key: ledger.IdempotencyKey | None = None
) -> dict[str, Any]:
    return await redemptions.cancel(resident=resident, redemption=redemption, key=key)


async def verify(
    till: UUID, code: str | None = None, *, token: str | None = None, bill_fen: int | None = None,
    key: ledger.IdempotencyKey | None = None,
) -> dict[str, Any]:  # fmt: skip
    return await verifications.verify(till=till, code=code, token=token, bill_fen=bill_fen, key=key)


async def reverse(till: UUID, verification: str, key: ledger.IdempotencyKey | None = None) -> dict[str, Any]:
    return await verifications.reverse(till=till, verification=UUID(verification), key=key)


# ------------------------------------------------------------------ how things stand
async def balance(account: ledger.Account) -> ledger.Balance:
    return (await ledger.balances([account.id]))[account.id]


async def available_g(resident: UUID) -> int:
    return (await balance(chart.wallet(resident))).available


async def held_g(resident: UUID) -> int:
    return (await balance(chart.wallet(resident))).debits_pending


async def budget_left_fen(campaign: UUID) -> int:
    return (await balance(chart.budget(campaign))).available


async def payable_fen(publisher: UUID) -> int:
    """What is owed to a publisher: the account has no balance of its own, so its transfers are added up."""
    account = chart.payable(publisher).id
    total: int = await db.fetch_value(
        """SELECT coalesce(sum(CASE WHEN credit = $1 THEN amount ELSE -amount END), 0)::bigint FROM ledger_transfer
           WHERE phase IN ('posted', 'post') AND $1 IN (debit, credit)""",
        account,
    )  # fmt: skip
    return total


async def taken(offer: OfferView) -> int:
    """Units of the offer's stock that are sold or held."""
    return (await balance(chart.stock(offer.id))).counted


async def status_of(redemption: UUID) -> str:
    status: str = await db.fetch_value("SELECT status FROM redemption WHERE id = $1", redemption)
    return status


def code_of(outcome: object) -> str:
    """How an outcome of `gather(return_exceptions=True)` ended: `ok`, or the code of its refusal."""
    if isinstance(outcome, ChutanError):
        return outcome.code
    if isinstance(outcome, BaseException):
        raise outcome
    return "ok"


# ------------------------------------------------------------------ who residents are
REAL_NAMES = RealNames(SandboxIdentityCheck(), "the key of these tests")
_persons = count(1)


def an_id_number(*, born: str | None = None, place: str = "420106") -> str:
    """A well-formed resident identity number; another one each time."""
    stem = f"{place}{born or '19900101'}{next(_persons) % 1000:03d}"
    return stem + ric.calc_check_digit(stem + "0")


async def signed_in(phone: str, *, store: EphemeralStore) -> tuple[Session, Person]:
    """Somebody who has typed the code that was sent to `phone`."""
    sms = SandboxSms(store)
    await store.delete(f"otp-pause:{otp._alias(phone)}")
    await otp.send_code(phone, address="192.0.2.1", store=store, sms=sms)
    code = await sms.last_code(phone)
    assert code is not None
    return await sign_in(phone, code, address="192.0.2.1", store=store)


async def a_person(
    phone: str, id_number: str, *, store: EphemeralStore, available_g: int = 0
) -> tuple[Session, UUID]:
    """A verified resident who is signed in."""
    session, person = await signed_in(phone, store=store)
    await persons.verify(
        resident=person.id, name="张三", id_number=id_number, real_names=REAL_NAMES, store=store
    )
    if available_g:
        await a_lot(person.id, available_g)
    return session, person.id
