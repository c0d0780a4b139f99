"""The pages of a pool without JavaScript: filled, watched, taken back; nothing that was typed is lost."""

from __future__ import annotations

import csv
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import UUID

import pytest

from marketplace import clock, db, pools
from marketplace.pools.loading import load_waiting
from tests import builders
from tests.marketplace.pools.filling import a_spreadsheet, codes_in, some_codes
from tests.web.test_offer_pages import owner, the_offer, write  # noqa: F401
from tests.web.test_pages import (  # noqa: F401  (the application as a fixture)
    Visitor,
    a_signed_in_member,
    anyone,
    app,
)
from web.csv_answer import csv_answer


async def upload(
    visitor: Visitor, offer: UUID, *, file: bytes = b"", name: str = "codes.csv", status: int = 200, **typed: str
) -> str:  # fmt: skip
    """Send the form that fills the pool, and go where it leads."""
    action = f"/publisher/offers/{offer}/codes"
    token = visitor.client.cookies["chutan_csrf"]
    answer = await visitor.client.post(
        action, data={"_csrf_token": token, **typed}, files={"file": (name, file)} if file else None
    )
    if answer.is_redirect:
        assert answer.status_code == 303
        return await visitor.open(answer.headers["location"], status=status)
    assert answer.status_code == status, answer.text
    visitor.page = answer.text
    return answer.text


def counts(page: str) -> list[str]:
    shown = page.split('<dl class="counts">')[1].split("</dl>", maxsplit=1)[0]
    return [part.split("<")[0] for part in shown.split('class="grams">')[1:]]


@pytest.fixture
async def codes(owner: Visitor) -> Any:  # noqa: F811
    """A live offer of the owner's with two codes."""
    offer = await builders.an_offer(publisher=owner.publisher, kind="code")  # type: ignore[attr-defined]
    await owner.open(f"/publisher/offers/{offer.id}/codes")
    return offer


async def test_an_offer_of_codes_is_filled_on_its_page_and_submitted(owner: Visitor) -> None:  # noqa: F811
    page = await write(owner, "code", then="save")
    offer = (await the_offer(owner)).id
    assert f'href="/publisher/offers/{offer}/codes"' in page
    assert 'id="codes-note"' in await owner.send(f"/publisher/offers/{offer}", status=400, then="submit")

    page = await upload(owner, offer, codes="AA\nBB\n\nＡＡ")
    assert "已完成" in page
    assert counts(page) == ["2", "2", "0"]
    assert [f"第 {n} 行" in page for n in range(1, 5)] == [False, False, True, True]
    page = await upload(owner, offer, file='\ufeff券码,备注\r\nCC,1\r\n"D,D"\r\nBB\r\n'.encode())
    assert "codes.csv" in page
    assert await codes_in(offer) == ["AA", "BB", "CC", "D,D"]
    await owner.open(f"/publisher/offers/{offer}")
    await owner.send(f"/publisher/offers/{offer}", then="submit")
    assert (await the_offer(owner)).status == "submitted"
    assert "券码池" in await owner.open(f"/publisher/offers/{offer}")


async def test_a_large_file_is_loaded_while_its_page_is_watched(owner: Visitor, codes: Any) -> None:  # noqa: F811
    page = await upload(owner, codes.id, file=some_codes(5_000), name="c.txt")
    assert "添加中" in page
    assert '<progress class="upload__bar" max="5000" value="0"' in page
    assert '<noscript><meta http-equiv="refresh"' in page
    assert 'hx-trigger="every 1s"' in page
    place = page.split('hx-get="')[1].split('"')[0]
    part = (await owner.client.get(place, headers={"HX-Request": "true"})).text
    assert part.lstrip().startswith('<section class="panel upload"')
    await load_waiting()
    done = await owner.open(place)
    assert 'max="5000" value="5000"' in done
    assert "hx-trigger" not in done
    assert "http-equiv" not in done


async def test_a_pool_says_how_many_codes_are_given_out_and_left(owner: Visitor) -> None:  # noqa: F811
    live = await builders.an_offer(publisher=owner.publisher, kind="code", codes=["AA", "BB", "CC"])  # type: ignore[attr-defined]
    await builders.redeemed(live)
    for place in (f"/publisher/offers/{live.id}", f"/publisher/offers/{live.id}/codes"):
        assert counts(await owner.open(place)) == ["3", "1", "2"]


@pytest.mark.parametrize(
    ("file", "name", "field"),
    [
        (b"", "", "codes"),
        (b"PK\x03\x04\0\0", "c.xlsx", "file"),
        (b"\xff\xff\xff", "c.txt", "file"),
        (b"A\n" * 100_001, "c.txt", "file"),
        (b"A" * (8 * 1024 * 1024 + 1), "c.txt", "file"),
    ],
    ids=["nothing", "no spreadsheet", "no text", "too many lines", "too large"],
)
async def test_what_is_no_list_of_codes_is_refused_at_its_field_and_nothing_typed_is_lost(
    owner: Visitor, codes: Any, file: bytes, name: str, field: str  # noqa: F811
) -> None:  # fmt: skip
    pasted = "" if field == "codes" else "ZZ-1\nZZ-2"
    page = await upload(
        owner, codes.id, file=file, name=name, codes=pasted, expires_on="2030-05-01", status=400
    )
    assert f'class="field__error" id="{field}-note"' in page
    assert pasted in page
    assert 'value="2030-05-01"' in page
    assert await db.fetch_value("SELECT count(*) FROM pool_code") == 2


@pytest.mark.parametrize("day", ["2020-01-01", "yesterday", "2099-01-01"])
async def test_a_day_that_is_over_or_none_is_refused_at_its_field(
    owner: Visitor, codes: Any, day: str  # noqa: F811
) -> None:  # fmt: skip
    assert 'id="expires_on-note"' in await upload(owner, codes.id, codes="ZZ", expires_on=day, status=400)


async def test_a_spreadsheet_is_loaded_with_the_day_its_codes_run_until(owner: Visitor, codes: Any) -> None:  # noqa: F811
    day = clock.local_day(clock.now()) + timedelta(days=10)
    page = await upload(
        owner,
        codes.id,
        file=a_spreadsheet(("券码",), ("007",), ("=1+1",)),
        name="c.xlsx",
        expires_on=str(day),
    )
    assert f"有效期至 {day} 24:00" in page
    assert "第 3 行： 是公式" in page
    assert (await codes_in(codes.id))[2:] == ["007"]


async def test_the_lines_that_were_not_added_are_downloaded_as_a_file(owner: Visitor, codes: Any) -> None:  # noqa: F811
    page = await upload(owner, codes.id, codes="\n".join(["AA"] * 150))
    assert page.count("<li>第") == 100
    assert "另有 50 行未添加" in page
    place = page.split("download>")[0].rsplit('href="', 1)[1].split('"')[0]
    answer = await owner.client.get(place)
    assert answer.headers["content-disposition"].startswith("attachment")
    rows = list(csv.reader(StringIO(answer.content.decode("utf-8-sig"))))
    assert rows[0] == ["行号", "原因"]
    assert rows[1:] == [[str(n), "重复的券码"] for n in range(1, 151)]


def test_no_cell_of_a_file_is_a_formula():
    cells = ["=1+1", "+1", "-1", "@A", "\tA", "\rA", "A=1", 5]
    file = csv_answer("c.csv", ("a",), [(cell,) for cell in cells]).content
    rows = csv.reader(StringIO(file.decode("utf-8-sig"), newline=""))
    assert [row[0] for row in rows][1:] == ["'=1+1", "'+1", "'-1", "'@A", "'\tA", "'\rA", "A=1", "5"]


async def test_codes_are_made_and_handed_over_once(owner: Visitor, codes: Any) -> None:  # noqa: F811
    place = f"/publisher/offers/{codes.id}/codes"
    page = await owner.send(f"{place}/generate", status=400, count="x", prefix="SHOP", length="11")
    assert page.count("field__error") == 1, "what is no number is told first"
    page = await owner.send(f"{place}/generate", status=400, count="7", prefix="SHOP", length="11")
    assert 'id="prefix-note"' in page
    assert 'value="SHOP"' in page
    key = {"key": page.split('name="key" value="')[1].split('"')[0]}
    page = await owner.send(f"{place}/generate", count="1,000", prefix="SHUBA", length="12", **key)
    assert counts(page) == ["1,000", "0", "0"]
    await owner.open(place)
    again = await owner.send(f"{place}/generate", count="1,000", prefix="SHUBA", length="12", **key)
    assert again == page
    export = page.split("/export")[0].rsplit('action="', 1)[1] + "/export"
    token = {"_csrf_token": owner.client.cookies["chutan_csrf"]}
    file = await owner.client.post(export, data=token)
    made = file.content.decode("utf-8-sig").split("\r\n")[1:-1]
    assert sorted(made) == sorted((await codes_in(codes.id))[2:])
    assert all(len(code) == 17 for code in made)
    second = await owner.client.post(export, data=token)
    assert second.status_code == 303
    assert "已经下载过" in await owner.open(second.headers["location"])
    assert "/export" not in owner.page


async def test_codes_are_taken_back_on_the_page_of_their_upload(owner: Visitor, codes: Any) -> None:  # noqa: F811
    page = await upload(owner, codes.id, codes="CC\nDD")
    action = page.split("/withdraw")[0].rsplit('action="', 1)[1] + "/withdraw"
    page = await owner.send(action)
    assert "已收回" in page
    assert counts(page) == ["2", "0", "2"]
    assert (await pools.pool_of(codes.id)).left == 2


async def test_a_publisher_sets_an_alarm_and_sees_it_in_the_console(owner: Visitor, codes: Any) -> None:  # noqa: F811
    place = f"/publisher/offers/{codes.id}/codes"
    assert "券码不足" not in await owner.open("/publisher/offers")
    await owner.open(place)
    assert 'id="alarm_at-note"' in await owner.send(f"{place}/alarm", status=400, alarm_at="many")
    await owner.send(f"{place}/alarm", alarm_at="2")
    for shown, words in (
        (place, "券码即将用完"), (f"/publisher/offers/{codes.id}", "券码即将用完"), ("/publisher/offers", "券码不足"),
    ):  # fmt: skip
        assert words in await owner.open(shown)


async def test_anothers_pool_does_not_exist_and_a_cashier_fills_none(owner: Visitor, anyone: Any) -> None:  # noqa: F811
    offer = await builders.an_offer(kind="code")
    (theirs,) = await pools.uploads_of(publisher=offer.publisher.id, offer=offer.id)
    await owner.open("/publisher/offers")
    await upload(owner, offer.id, codes="ZZ", status=404)
    for place in (f"offers/{offer.id}/codes", f"uploads/{theirs.id}", f"uploads/{theirs.id}/report"):
        await owner.open(f"/publisher/{place}", status=404)
    token = {"_csrf_token": owner.client.cookies["chutan_csrf"]}
    for verb in ("withdraw", "export"):
        answer = await owner.client.post(f"/publisher/uploads/{theirs.id}/{verb}", data=token)
        assert answer.status_code in (303, 404)
    assert (await pools.pool_of(offer.id)).left == 2

    cashier = anyone()
    await a_signed_in_member(cashier, offer.publisher.id, role="cashier")
    assert "<form" not in (await cashier.open(f"/publisher/offers/{offer.id}/codes")).split("<main")[1]
    await upload(cashier, offer.id, codes="ZZ", status=403)
