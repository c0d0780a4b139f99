"""Demonstration data: a publisher of each kind with stores, tills and staff, and offers that residents can redeem."""

from __future__ import annotations

from secrets import token_hex
from typing import Any, Final, NamedTuple
from uuid import UUID

from marketplace import db
from marketplace.campaigns.funding import fund
from marketplace.campaigns.opening import create_campaign
from marketplace.identity.demonstration import bank_client, bank_key, issue, token_of
from marketplace.identity.oauth import register_client
from marketplace.offers.lifecycle import approve, create_draft, submit
from marketplace.offers.terms import change_from
from marketplace.pools import add_codes
from marketplace.publishers import create_publisher, create_store, create_till
from merchants.staff import add_staff

PASSWORD: Final = "chutan-demo"  # noqa: S105  (of the demonstration's staff, printed at its start)
BUDGET_FEN: Final = 500_000
CODES: Final = 200


class DemoPublisher(NamedTuple):
    """A publisher of the demonstration with the membership of its owner, and its tills by store."""

    id: UUID
    kind: str
    name: str
    staff: UUID
    tills: dict[UUID, UUID]


_PUBLISHERS: Final = (
    ("merchant", "演示热干面馆", "demo-merchant", (("江汉路店", "武汉市江汉区江汉路 1 号（演示）"),
                                              ("光谷店", "武汉市洪山区珞喻路 2 号（演示）"))),
    ("venue", "演示湖滨公园", "demo-venue", (("东门", "武汉市武昌区沿湖大道 3 号（演示）"),)),
    ("bank", "演示绿色银行", "demo-bank", (("营业部", "武汉市武昌区中北路 4 号（演示）"),)),
)  # fmt: skip
LOGINS: Final = tuple(login for _, _, login, _ in _PUBLISHERS)

_OFFERS: Final[dict[str, tuple[dict[str, Any], ...]]] = {
    "merchant": (
        {"kind": "cash_coupon", "title": "热干面 5 元代金券", "summary": "骑行换早餐，满 10 元可用", "price_g": 500,
         "benefit": {"amount_fen": 500}, "conditions": {"min_bill_fen": 1000}, "stock_total": 500,
         "per_resident_limit": 2, "coupon_valid_days": 14},
        {"kind": "discount", "title": "全单八折券", "summary": "最高减 20 元", "price_g": 800,
         "benefit": {"off_bp": 2000, "cap_fen": 2000}, "stock_total": 200, "coupon_valid_days": 30},
        {"kind": "gift", "title": "文创帆布袋一个", "summary": "自带袋子，少用塑料", "price_g": 1500,
         "benefit": {"item": "帆布袋", "value_fen": 1500}, "stock_total": 100, "per_resident_limit": 1},
    ),
    "venue": (
        {"kind": "ticket", "title": "湖滨公园游船票", "summary": "一人一次", "price_g": 2000,
         "benefit": {"admits": 1, "value_fen": 3000}, "stock_total": 60, "per_resident_limit": 1},
        {"kind": "transit", "title": "轮渡 2 元乘车券", "summary": "乘坐轮渡抵用", "price_g": 200,
         "benefit": {"amount_fen": 200}, "coupon_valid_days": 7},
        {"kind": "code", "title": "湖滨书吧电子书月卡", "summary": "兑换后立即发码，不可取消", "price_g": 600,
         "benefit": {"value_fen": 1200}, "per_resident_limit": 1},
        {"kind": "donation", "title": "为湿地种一株芦苇", "summary": "兑换后立即捐出，不可取消", "price_g": 300,
         "benefit": {"cause": "沉湖湿地修复（演示）", "value_fen": 0}},
    ),
    "bank": (
        {"kind": "cash_coupon", "title": "绿色消费 10 元立减", "summary": "由银行活动预算出资", "price_g": 1000,
         "benefit": {"amount_fen": 1000}, "stock_total": 400, "per_resident_limit": 1},
        {"kind": "rate_perk", "title": "绿色消费贷利率优惠", "summary": "到网点办理时出示", "price_g": 3000,
         "benefit": {"product": "绿色消费贷（演示）", "off_bp": 30, "term_months": 12}, "per_resident_limit": 1,
         "coupon_valid_days": 90},
    ),
}  # fmt: skip


async def load(seed: bytes) -> None:
    """Make it all, with sign-ins that follow from `seed`."""
    for publisher in await make_publishers():
        await issue(seed, "staff", publisher.staff)
        for till in publisher.tills.values():
            await issue(seed, "till", till)
        if publisher.kind == "bank":
            await register_client(client_id=bank_client(publisher.id), role="bank", subject=str(publisher.id),
                                  public_jwk=bank_key(seed, publisher.id).as_dict(private=False))  # fmt: skip


async def sign_ins(seed: bytes) -> dict[str, Any]:
    """The sign-ins of publishers' staff, tills and banks."""
    publishers = await db.fetch(
        """SELECT p.id, p.kind, p.name, min(m.id::text) AS staff
           FROM publisher p JOIN membership m ON m.publisher = p.id JOIN staff s ON s.id = m.staff
           WHERE s.login LIKE 'demo-%' GROUP BY p.id ORDER BY p.id"""
    )
    tills = await db.fetch(
        "SELECT t.id, t.store, s.publisher FROM till t JOIN store s ON s.id = t.store ORDER BY t.id"
    )
    return {
        "publishers": [
            {
                "id": str(p["id"]), "kind": p["kind"], "name": p["name"], "token": token_of(seed, "staff", p["staff"]),
                "stores": [
                    {"id": str(t["store"]), "till_token": token_of(seed, "till", t["id"])}
                    for t in tills if t["publisher"] == p["id"]
                ],
            }
            for p in publishers
        ],
        "banks": [
            {"id": str(p["id"]), "client_id": bank_client(p["id"]),
             "private_jwk": bank_key(seed, p["id"]).as_dict(private=True)}
            for p in publishers if p["kind"] == "bank"
        ],
    }  # fmt: skip


async def make_publishers() -> list[DemoPublisher]:
    """The publishers, and their offers, live."""
    made = []
    for kind, name, login, stores in _PUBLISHERS:
        publisher = await create_publisher(kind=kind, name=name, city="420100")  # type: ignore[arg-type]
        tills = {}
        for store_name, address in stores:
            store = await create_store(publisher=publisher, name=store_name, address=address)
            tills[store] = await create_till(store=store, name="1 号收银台")
        staff = await add_staff(
            publisher=publisher, login=login, name=f"{name}店长", password=PASSWORD, role="owner"
        )
        await _publish(publisher, kind)
        made.append(DemoPublisher(publisher, kind, name, staff.id, tills))
    return made


async def _publish(publisher: UUID, kind: str) -> None:
    campaign = None
    if kind == "bank":
        campaign = await create_campaign(name="绿色消费季（演示）", funder="演示绿色银行")
        await fund(campaign, BUDGET_FEN)
    for given in _OFFERS[kind]:
        funded = campaign is not None and given["kind"] == "cash_coupon"
        terms = given | ({"funding": {"campaign": str(campaign)}} if funded else {})
        offer = await create_draft(publisher=publisher, change=change_from(terms), actor="demonstration")
        if given["kind"] == "code":
            codes = [f"DEMO-{token_hex(4).upper()}" for _ in range(CODES)]
            await add_codes(publisher=publisher, offer=offer.id, codes=codes)
        await submit(publisher=publisher, offer=offer.id, actor="demonstration")
        await approve(offer=offer.id, actor="demonstration")
