"""The dashboard over HTTP: the same numbers as JSON, pages, files and streams, and for whom."""

from __future__ import annotations

import asyncio
import csv
import io
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from litestar import Litestar
from openpyxl import load_workbook

from marketplace import clock, db
from marketplace.identity.tokens import Principal, end_session, issue_token
from marketplace.offers.view import OfferView
from merchants.insight import insight
from merchants.periods import period_of
from merchants.staff import StaffRole, add_staff
from tests import builders
from tests.web.test_auth import served
from tests.web.test_kept import a_visitor, an_app
from tests.web.test_pages import Visitor, a_signed_in_member
from web import live
from web.exports import as_csv, as_xlsx, neutral

API = "/api/v1/publisher/insight"
BROWSER = {"user-agent": "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/130 Mobile Safari/537.36"}


@pytest.fixture
async def app(database: str) -> AsyncIterator[Litestar]:
    app = an_app()
    async with served(app):
        yield app


async def staff_of(offer: OfferView, role: StaffRole = "owner") -> dict[str, str]:
    """The headers of one of its publisher's staff."""
    member = await add_staff(
        publisher=offer.publisher.id,
        login=f"{role}-{offer.id}",
        name="店员",
        password="correct horse",
        role=role,
    )
    return {"authorization": f"Bearer {await issue_token(Principal('staff', str(member.id)))}"}


async def a_used_offer() -> OfferView:
    """Two redemptions, of which one was verified for a bill of 50 yuan."""
    offer = await builders.an_offer(kind="cash_coupon", title="五元券", stock=10)
    till = await builders.a_till(of=offer)
    _, code = await builders.redeemed(offer)
    await builders.redeemed(offer)
    await builders.verify(till, code, bill_fen=5_000)
    return offer


# ------------------------------------------------------------------ numbers
async def test_an_owner_reads_the_numbers_of_the_whole_funnel(app):
    offer = await a_used_offer()
    client = a_visitor(app).client
    await client.get("/api/v1/offers", headers=BROWSER)
    await client.get(f"/api/v1/offers/{offer.id}", headers=BROWSER)
    await app.state.seen.flush()

    told = (await client.get(API, headers=await staff_of(offer))).json()

    assert [(step["step"], step["count"]) for step in told["funnel"]] == [
        ("exposure", 1), ("detail", 1), ("redemption", 2), ("use", 1), ("return", 0),
    ]  # fmt: skip
    assert told["totals"]["bill_fen"] == 5_000
    assert told["totals"]["discount_fen"] == 1_000
    [one] = told["offers"]
    assert (one["title"], one["stock_total"], one["stock_left"]) == ("五元券", 10, 8)
    assert one["numbers"]["redeemed"] == 2
    [store] = told["stores"]
    assert (store["name"], store["numbers"]["verified"]) == ("光谷店", 1)
    for part in (told["timeline"], told["hours"]):
        assert sum(slot["numbers"]["redeemed"] for slot in part) == 2


async def test_a_period_is_compared_with_the_one_before(app):
    offer = await builders.an_offer()
    for days in (0, 3, 6, 8, 13, 20):
        with clock.travelled(timedelta(days=-days)):
            await builders.redeemed(offer)
    client, headers = a_visitor(app).client, await staff_of(offer)

    async def counts(query: str) -> tuple[int, int]:
        told = (await client.get(f"{API}?{query}", headers=headers)).json()
        return told["totals"]["redeemed"], told["previous"]["redeemed"]

    today = clock.local_day(clock.now())
    assert await counts("period=today") == (1, 0)
    assert await counts("period=7d") == (3, 2)
    assert await counts("period=30d") == (6, 0)
    custom = f"period=custom&from={today - timedelta(days=8)}&to={today - timedelta(days=8)}"
    assert await counts(custom) == (1, 0)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("period=century", "period"),
        ("period=custom", "from"),
        ("period=custom&from=2026-02-30&to=2026-03-01", "from"),
        ("period=custom&from=2026-03-02&to=2026-03-01", "to"),
        ("period=custom&from=2020-01-01&to=2022-03-01", "from"),
        ("period=custom&from=2026-01-01&to=2999-01-01", "to"),
        ("offer=nothing", "offer"),
    ],
)
async def test_a_period_that_is_none_is_a_problem_of_its_field_and_what_was_typed_stays(app, query, field):
    offer = await builders.an_offer()
    visitor = a_visitor(app)
    answer = await visitor.client.get(f"{API}?{query}", headers=await staff_of(offer))
    assert answer.status_code == 400
    assert field in {error["field"] for error in answer.json()["errors"]}

    await a_signed_in_member(visitor, offer.publisher.id)
    page = await visitor.open(f"/publisher/insight?{query}", status=400)
    assert "field__error" in page
    for typed in re.findall(r"(?:from|to)=([0-9-]+)", query):
        assert f'value="{typed}"' in page


async def test_only_owner_and_manager_of_the_publisher_see_it(app):
    offer, others = await a_used_offer(), await builders.an_offer()
    client = a_visitor(app).client
    places = (API, f"{API}/export.csv", f"{API}/export.xlsx", "/publisher/insight/stream")
    cashier, stranger = await staff_of(offer, "cashier"), await staff_of(others)
    for place in places:
        assert (await client.get(place, headers=cashier)).status_code == 403
        answer = await client.get(f"{place}?offer={offer.id}", headers=stranger)
        assert answer.status_code == 404, place
        resident = await issue_token(Principal("resident", str(await builders.a_resident())))
        answer = await client.get(place, headers={"authorization": f"Bearer {resident}"})
        assert answer.status_code == 403
    assert (await client.get(API)).status_code == 401
    assert (await client.get(API, headers=await staff_of(offer, "manager"))).status_code == 200
    assert (await client.get(API, headers=stranger)).json()["totals"]["redeemed"] == 0


async def test_the_page_says_in_tables_what_the_api_says(app):
    offer = await a_used_offer()
    visitor = a_visitor(app)
    await a_signed_in_member(visitor, offer.publisher.id)
    page = await visitor.open("/publisher/insight?period=7d")
    for said in ("转化漏斗", "五元券", "光谷店", "¥50.00", "¥10.00", 'data-value="2"', "80.0%"):
        assert said in page
    assert page.count("<table") == 6
    assert "style=" not in page
    for row in await db.fetch("SELECT resident FROM redemption"):
        assert str(row["resident"]) not in page
    await visitor.open("/publisher/insight?offer=" + str((await builders.an_offer()).id), status=404)


# ------------------------------------------------------------------ who sees an offer
async def exposures(app: Litestar, offer: OfferView) -> tuple[int, int]:
    await app.state.seen.flush()
    told = await insight(publisher=offer.publisher.id, period=period_of())
    return told.totals.exposures, told.totals.details


async def test_each_answer_is_an_exposure_whether_it_was_kept_or_made(app):
    offer = await builders.an_offer()
    client = a_visitor(app).client
    resident = await issue_token(Principal("resident", str(await builders.a_resident())))
    for path in ("/", "/api/v1/offers"):
        for _ in range(3):
            await client.get(path, headers=BROWSER)
        await client.get(path, headers=BROWSER | {"authorization": f"Bearer {resident}"})
    assert await exposures(app, offer) == (8, 0)
    await client.get(f"/offers/{offer.id}", headers=BROWSER)
    await client.get(f"/offers/{offer.id}?refused=sold_out", headers=BROWSER)
    await client.get(f"/api/v1/offers/{offer.id}", headers=BROWSER)
    assert await exposures(app, offer) == (8, 2)


async def test_robots_staff_and_what_is_not_read_are_no_exposures(app):
    offer = await builders.an_offer()
    client, staff = a_visitor(app).client, await staff_of(offer)
    robot = {
        "user-agent": "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)"
    }
    for path in ("/", "/api/v1/offers", f"/offers/{offer.id}", f"/api/v1/offers/{offer.id}"):
        await client.get(path, headers=robot)
        await client.get(path, headers=BROWSER | staff)
        await client.head(path, headers=BROWSER)
    assert await exposures(app, offer) == (0, 0)
    await client.get("/", headers=BROWSER)  # kept since the robot asked
    assert await exposures(app, offer) == (1, 0)


async def test_what_was_seen_is_written_when_the_process_ends_and_an_offer_that_is_none_is_dropped(app):
    offer = await builders.an_offer()
    seen = app.state.seen
    async with seen.flushing():
        await a_visitor(app).client.get("/api/v1/offers", headers=BROWSER)
        seen.opened(UUID(int=7))
    assert await db.fetch_value("SELECT sum(exposures) FROM insight_seen") == 1
    assert await exposures(app, offer) == (1, 0)


async def test_what_cannot_be_written_is_written_with_what_comes_later(app):
    offer = await builders.an_offer()
    seen = app.state.seen
    await db.execute("ALTER TABLE insight_seen RENAME TO not_there")
    try:
        seen.opened(offer.id)
        with pytest.raises(asyncpg.UndefinedTableError):
            await seen.flush()
    finally:
        await db.execute("ALTER TABLE not_there RENAME TO insight_seen")
    seen.opened(offer.id)
    assert await exposures(app, offer) == (0, 2)


# ------------------------------------------------------------------ files
async def test_a_spreadsheet_gets_numbers_as_numbers_and_times_as_shanghai_has_them(app):
    offer = await a_used_offer()
    client, headers = a_visitor(app).client, await staff_of(offer)
    hour = clock.now().astimezone(clock.SHANGHAI).replace(minute=0, second=0, microsecond=0, tzinfo=None)

    answer = await client.get(f"{API}/export.csv", headers=headers)
    assert answer.headers["content-type"].startswith("text/csv")
    assert re.search(r'filename="chutan-[0-9-]+\.csv"', answer.headers["content-disposition"])
    assert answer.content.startswith(b"\xef\xbb\xbf")
    head, *lines = csv.reader(io.StringIO(answer.content.decode("utf-8-sig")))
    assert head[:3] == ["时间（上海）", "权益", "门店"]
    assert lines[0][:5] == [f"{hour:%Y-%m-%d %H:%M}", "五元券", "", "0", "0"]
    assert [line[5] for line in lines] == ["2", "0"]
    assert lines[1][2] == "光谷店"
    assert lines[1][-2:] == ["50", "10"]

    book = load_workbook(io.BytesIO((await client.get(f"{API}/export.xlsx", headers=headers)).content))
    cells = [[cell.value for cell in row] for row in book.active.rows]
    assert cells[0] == head
    assert cells[1][0] == hour
    assert (cells[1][5], cells[2][7], cells[2][-2]) == (2, 1, 50)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1+1"])
async def test_no_cell_is_a_formula(text):
    async def rows() -> AsyncIterator[list[list[Any]]]:
        yield [[text, -5, Decimal("-0.5")]]

    assert neutral(text) == f"'{text}"
    [line] = csv.reader(io.StringIO((await whole(as_csv(["标题"], rows()))).decode("utf-8-sig").split("\r\n", 1)[1],
                                    newline=""))  # fmt: skip
    assert line == [f"'{text}", "-5", "-0.5"]
    sheet = load_workbook(io.BytesIO(await whole(as_xlsx(["标题"], rows())))).active
    assert [cell.data_type for cell in sheet[2]] == ["s", "n", "n"]
    assert sheet["A2"].value.lstrip("'") == text.replace("\r", "\n")
    assert sheet["B2"].value == -5


async def test_more_rows_than_a_sheet_holds_go_on_in_the_next(monkeypatch):
    monkeypatch.setattr("web.exports.ROWS_A_SHEET", 3)

    async def rows() -> AsyncIterator[list[list[Any]]]:
        yield [[1], [2]]
        yield [[3], [4], [5], [6], [7]]

    book = load_workbook(io.BytesIO(await whole(as_xlsx(["n"], rows()))))
    assert [[row[0] for row in sheet.values] for sheet in book.worksheets] == [
        ["n", 1, 2, 3], ["n", 4, 5, 6], ["n", 7],
    ]  # fmt: skip


async def whole(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


# ------------------------------------------------------------------ streams
@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(live, "CHECK_SECONDS", 0.05)


async def looks(visitor: Visitor, query: str = "") -> asyncio.Task[httpx.Response]:
    """Open the stream; what it brought is there when it has ended."""
    looking = asyncio.create_task(visitor.client.get(f"/publisher/insight/stream?{query}"))
    await asyncio.sleep(0.5)
    return looking


def told_by(answer: httpx.Response) -> list[str]:
    return re.findall(r"^event: (.*?)\r?$", answer.text, re.MULTILINE)


async def test_a_stream_brings_the_numbers_when_something_has_happened_and_ends_with_the_session(app, quick):
    offer = await builders.an_offer(title="五元券")
    visitor = a_visitor(app)
    await a_signed_in_member(visitor, offer.publisher.id)
    looking = await looks(visitor)
    await builders.redeemed(offer)
    await asyncio.sleep(0.5)
    await end_session(visitor.client.cookies["chutan_session"], store=app.state.store)

    answer = await asyncio.wait_for(looking, 10)

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "content-encoding" not in answer.headers
    assert told_by(answer) == ["insight", "insight", "end"]
    before, after = answer.text.split("event: insight")[1:]
    assert 'data-value="1"' not in before
    assert 'data-value="1"' in after
    assert len(re.findall("^: ", answer.text, re.MULTILINE)) > 3, "heartbeats"


async def test_a_stream_ends_when_its_person_may_no_longer_look(app, quick):
    offer = await builders.an_offer()
    visitor = a_visitor(app)
    await a_signed_in_member(visitor, offer.publisher.id)
    looking = await looks(visitor)
    member = await db.fetch_value("SELECT id FROM membership WHERE publisher = $1", offer.publisher.id)
    await a_signed_in_member(a_visitor(app), offer.publisher.id)  # another owner, who may stay
    await db.execute("UPDATE membership SET role = 'cashier' WHERE id = $1", member)
    assert told_by(await asyncio.wait_for(looking, 10))[-1] == "end"


async def test_a_person_has_so_many_streams_and_a_process_that_stops_ends_them(app, quick):
    offer = await builders.an_offer()
    visitor = a_visitor(app)
    await a_signed_in_member(visitor, offer.publisher.id)
    looking = [await looks(visitor) for _ in range(live.STREAMS_A_PERSON)]
    refused = await visitor.client.get("/publisher/insight/stream")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "30")

    app.state.streams.end()

    for answer in await asyncio.wait_for(asyncio.gather(*looking), 10):
        assert told_by(answer) == ["insight"]
    assert (await visitor.client.get("/publisher/insight/stream")).status_code == 200
