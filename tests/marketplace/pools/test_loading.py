"""Uploads: received, loaded in batches, broken off and gone on with; each code once, each refused line told."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from marketplace import clock, db, pools
from marketplace.clock import travelled
from marketplace.errors import Invalid, NotFound, Refused
from marketplace.ids import new_id
from marketplace.journeys import journey
from marketplace.pools import loading
from marketplace.pools.loading import load, load_waiting
from tests.builders import a_draft, a_key, a_publisher, a_resident, an_offer, redeem, redeemed
from tests.marketplace.pools.filling import (
    a_pool,
    a_spreadsheet,
    codes_in,
    generated,
    loaded,
    some_codes,
    uploaded,
)


async def test_duplicate_empty_and_blank_codes_are_refused_and_reported_by_line(database: str) -> None:
    offer = await a_pool()
    await pools.add_codes(publisher=offer.publisher.id, offer=offer.id, codes=["OLD"])

    upload = await loaded(offer, "AA\n\nAA\n \nＡＡ\nOLD\n\x07\nBB\n".encode())

    assert (upload.state, upload.lines, upload.loaded, upload.added, upload.refused) == ("loaded", 8, 8, 2, 6)
    faults = await pools.faults_of(publisher=offer.publisher.id, upload=upload.id)
    assert [(one.line, one.fault) for one in faults] == [
        (2, "blank"), (3, "repeated"), (4, "blank"), (5, "repeated"), (6, "repeated"), (7, "invalid"),
    ]  # fmt: skip
    assert await codes_in(offer.id) == ["OLD", "AA", "BB"]
    assert (await pools.pool_of(offer.id)).left == 3


async def test_the_same_file_again_is_the_same_upload_and_adds_nothing(database: str) -> None:
    offer = await a_pool()
    first = await loaded(offer, some_codes(3))
    again = await loaded(offer, some_codes(3), name="other.csv")
    assert again == first
    assert await db.fetch_value("SELECT count(*) FROM pool_code") == 3


async def test_the_same_code_in_two_pools_is_two_codes(database: str) -> None:
    first, second = await a_pool(), await a_pool()
    for offer in (first, second):
        assert (await loaded(offer, b"AA")).added == 1
    marks = await db.fetch("SELECT DISTINCT fingerprint, sealed FROM pool_code")
    assert len(marks) == 2


async def received(offer, content: bytes, *, name: str = "c.csv", piece: int = 7) -> pools.Upload:
    upload = await pools.begin(
        publisher=offer.publisher.id, offer=offer.id, name=name, size_bytes=len(content), expires_on=None, actor="t"
    )  # fmt: skip
    for offset in range(0, len(content), piece):
        upload = await pools.receive(
            publisher=offer.publisher.id,
            upload=upload.id,
            offset=offset,
            piece=content[offset : offset + piece],
        )
    assert upload.state == "received"
    await load_waiting()
    return await pools.upload_of(publisher=offer.publisher.id, upload=upload.id)


async def test_a_file_that_comes_in_pieces_is_put_together_and_loaded(database: str) -> None:
    offer = await a_pool()
    content = a_spreadsheet(("code",), ("AA",), ("BB",))
    upload = await received(offer, content, piece=1_000)
    assert (upload.state, upload.added) == ("loaded", 2)
    assert await db.fetch_value("SELECT count(*) FROM code_upload_part") == 0


async def test_a_piece_at_the_wrong_place_is_refused_with_the_right_one(database: str) -> None:
    offer = await a_pool()
    me = offer.publisher.id
    upload = await pools.begin(
        publisher=me, offer=offer.id, name="c", size_bytes=4, expires_on=None, actor="t"
    )
    await pools.receive(publisher=me, upload=upload.id, offset=0, piece=b"A\n")
    for offset in (0, 3):
        with pytest.raises(Refused, match="upload_offset_wrong") as refused:
            await pools.receive(publisher=me, upload=upload.id, offset=offset, piece=b"A\n")
        assert refused.value.facts == {"received_bytes": 2}
    for piece in (b"", b"BBB"):
        with pytest.raises(Invalid):
            await pools.receive(publisher=me, upload=upload.id, offset=2, piece=piece)
    await pools.receive(publisher=me, upload=upload.id, offset=2, piece=b"BB")
    with pytest.raises(Refused, match="upload_not_receiving"):
        await pools.receive(publisher=me, upload=upload.id, offset=4, piece=b"C")


@pytest.mark.parametrize(
    ("content", "fault"), [(b"PK\x03\x04 no", "not_spreadsheet"), (b"\n\n", "required"), (b"A\0", "not_text")]
)
async def test_a_file_in_pieces_that_is_none_fails_and_says_why(database: str, content, fault) -> None:
    upload = await received(await a_pool(), content)
    assert (upload.state, upload.fault, upload.added) == ("failed", fault, 0)
    assert await db.fetch_value("SELECT count(*) FROM code_upload_part") == 0


async def test_the_same_file_in_pieces_adds_nothing(database: str) -> None:
    offer = await a_pool()
    await loaded(offer, b"AA\nBB", name="c.csv")
    assert (await received(offer, b"AA\nBB")).fault == "same_file"


async def test_a_hundred_thousand_codes_load_with_progress_and_go_on_where_they_were_broken_off(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer = await a_pool()
    content = some_codes(99_998) + b"\nCODE-000000\nCODE-099997\n"
    upload = await uploaded(offer, content)
    assert (upload.state, upload.lines, upload.loaded) == ("loading", 100_000, 0)

    seen = []
    fill = loading.fill

    async def dying(*arguments, **more):
        filled = await fill(*arguments, **more)
        if len(seen) in (10, 25):
            seen.append(-1)
            raise asyncio.CancelledError  # before its commit: as if the process had died there
        seen.append(filled.added)
        return filled

    monkeypatch.setattr(loading, "fill", dying)
    for _ in range(2):
        with pytest.raises(asyncio.CancelledError):
            await load_waiting()
        part_way = await pools.upload_of(publisher=offer.publisher.id, upload=upload.id)
        assert part_way.state == "loading"
        assert part_way.loaded == part_way.added == 1_000 * sum(one > 0 for one in seen)
        assert (await pools.pool_of(offer.id)).left == part_way.added
    await load_waiting()

    after = await pools.upload_of(publisher=offer.publisher.id, upload=upload.id)
    assert (after.state, after.loaded, after.added, after.refused) == ("loaded", 100_000, 99_998, 2)
    faults = await pools.faults_of(publisher=offer.publisher.id, upload=upload.id)
    assert [(one.line, one.fault) for one in faults] == [(99_999, "repeated"), (100_000, "repeated")]
    assert await db.fetch_value("SELECT count(DISTINCT fingerprint) FROM pool_code") == 99_998
    assert (await pools.pool_of(offer.id)).left == 99_998


async def test_what_another_process_is_at_is_left_to_it_until_it_is_silent(database: str) -> None:
    offer = await a_pool()
    await uploaded(offer, b"AA")
    assert await loading._leased() is not None  # by a process that dies with it
    assert await load_waiting() == 0
    with travelled(timedelta(seconds=loading.LEASE_SECONDS)):
        assert await load_waiting() == 1
    assert await codes_in(offer.id) == ["AA"]


async def test_two_processes_at_one_upload_load_each_line_once(database: str) -> None:
    offer = await a_pool()
    upload = await uploaded(offer, some_codes(5_000))
    await asyncio.gather(*(load(upload.id) for _ in range(4)))
    after = await pools.upload_of(publisher=offer.publisher.id, upload=upload.id)
    assert (after.state, after.added, after.refused) == ("loaded", 5_000, 0)


async def test_uploads_with_the_same_codes_at_once_add_each_code_once(database: str) -> None:
    offer = await a_pool()
    content = some_codes(3_000).split()
    uploads = [await uploaded(offer, b"\n".join(part)) for part in (content, content[::-1], content[500:])]
    await asyncio.gather(*(load(upload.id) for upload in uploads))
    ends = [await pools.upload_of(publisher=offer.publisher.id, upload=upload.id) for upload in uploads]
    assert sum(end.added for end in ends) == 3_000
    assert all(end.added + end.refused == end.lines for end in ends)
    assert (await pools.pool_of(offer.id)).left == 3_000


async def test_no_more_uploads_wait_than_are_good_for_an_offer(database: str) -> None:
    offer = await a_pool()
    for number in range(10):
        await uploaded(offer, b"A%d" % number)
    with pytest.raises(Refused, match="too_many_uploads"):
        await uploaded(offer, b"B")
    await load_waiting()
    await uploaded(offer, b"B")


async def test_an_upload_that_nobody_goes_on_with_is_dropped_after_a_day(database: str) -> None:
    offer = await a_pool()
    me = offer.publisher.id
    upload = await pools.begin(
        publisher=me, offer=offer.id, name="c", size_bytes=4, expires_on=None, actor="t"
    )
    await pools.receive(publisher=me, upload=upload.id, offset=0, piece=b"A")
    await pools.lapse_due()
    assert (await pools.upload_of(publisher=me, upload=upload.id)).state == "receiving"
    with travelled(timedelta(hours=25)):
        await pools.lapse_due()
    assert (await pools.upload_of(publisher=me, upload=upload.id)).state == "withdrawn"
    assert await db.fetch_value("SELECT count(*) FROM code_upload_part") == 0


async def test_another_publishers_pool_and_uploads_do_not_exist(database: str) -> None:
    offer, stranger = await a_pool(), await a_publisher()
    upload = await loaded(offer, b"AA")
    for attempt in (
        pools.add_codes(publisher=stranger, offer=offer.id, codes=["BB"]),
        pools.set_alarm(publisher=stranger, offer=offer.id, alarm_at=1),
        pools.upload_of(publisher=stranger, upload=upload.id),
        pools.withdraw(publisher=stranger, upload=upload.id),
        pools.begin(publisher=stranger, offer=offer.id, name="c", size_bytes=1, expires_on=None, actor="t"),
        pools.receive(publisher=stranger, upload=upload.id, offset=0, piece=b"A"),
        pools.withdraw(publisher=stranger, upload=new_id()),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert await pools.uploads_of(publisher=stranger, offer=offer.id) == []
    assert await pools.faults_of(publisher=stranger, upload=upload.id) == []


async def test_an_offer_of_another_kind_has_no_pool(database: str) -> None:
    offer = await a_draft(await a_publisher(), kind="gift")
    with pytest.raises(Refused, match="offer_has_no_pool"):
        await generated(offer, count=1)


# ---------------------------------------------------------------- taking back, running out
async def test_codes_that_nobody_has_are_taken_back_and_may_be_uploaded_anew(database: str) -> None:
    offer = await an_offer(kind="code", codes=["KEPT"])
    upload = await loaded(offer, some_codes(3))
    code = (await redeemed(offer))[1]
    code = (await redeemed(offer))[1] if code == "KEPT" else code
    after = await pools.withdraw(publisher=offer.publisher.id, upload=upload.id)
    assert (after.state, after.added, after.withdrawn) == ("withdrawn", 3, 2)
    assert code in await codes_in(offer.id)
    assert await pools.withdraw(publisher=offer.publisher.id, upload=upload.id) == after
    again = await loaded(offer, some_codes(3))
    assert (again.added, again.refused) == (2, 1)
    pool = await pools.pool_of(offer.id)
    assert (pool.codes, pool.given, pool.left) == (4, 2, 2)


async def test_a_withdrawal_stops_the_loading(database: str) -> None:
    offer = await a_pool()
    upload = await uploaded(offer, some_codes(2_500))
    await loading._load_batch(upload.id)
    after = await pools.withdraw(publisher=offer.publisher.id, upload=upload.id)
    assert (after.state, after.loaded, after.withdrawn) == ("withdrawn", 1_000, 1_000)
    await load(upload.id)
    assert await codes_in(offer.id) == []
    assert await db.fetch_value("SELECT count(*) FROM code_upload_part") == 0


async def test_codes_are_given_out_until_the_end_of_their_last_day(database: str) -> None:
    offer = await an_offer(kind="code", codes=["LATER"], ends_at=None)
    today = clock.local_day(clock.now())
    upload = await loaded(offer, b"TODAY\nTOO", expires_on=today)
    assert await redeemed(offer) is not None
    assert (await pools.pool_of(offer.id)).left == 2
    left = clock.end_of_day(today) - clock.now()
    with travelled(left):
        assert (await pools.free_codes([offer.id]))[offer.id] == 1, "what has run out is left out at once"
        assert (await redeemed(offer))[1] == "LATER"
        assert await pools.lapse_due() == 1
        assert await pools.lapse_due() == 0
    after = await pools.upload_of(publisher=offer.publisher.id, upload=upload.id)
    assert (after.added, after.lapsed) == (2, 1)


async def test_a_coupon_says_the_day_on_which_its_code_runs_out(database: str) -> None:
    offer, resident = await an_offer(kind="code", codes=["LATER"], coupon_valid_days=30), await a_resident()
    tomorrow = clock.local_day(clock.now()) + timedelta(days=1)
    await loaded(offer, b"SOON", expires_on=tomorrow)
    first, second = [await redeem(resident, offer, a_key(resident, key)) for key in ("1", "2")]
    assert [one["coupon"]["code"] for one in (first, second)] == ["SOON", "LATER"]
    assert datetime.fromisoformat(first["coupon"]["expires_at"]) == clock.end_of_day(tomorrow)
    assert datetime.fromisoformat(second["coupon"]["expires_at"]) > clock.end_of_day(tomorrow)
    for answer in (first, second):
        shown = (await journey(resident=resident, redemption=UUID(answer["id"]))).coupon
        assert shown is not None
        assert shown.expires_at == datetime.fromisoformat(answer["coupon"]["expires_at"])


async def test_an_upload_that_cannot_be_loaded_holds_up_no_other(database: str) -> None:
    offer = await a_pool()
    broken, good = await uploaded(offer, b"AA"), await uploaded(offer, b"BB")
    await db.execute("UPDATE code_upload_part SET sealed = 'spoilt' WHERE upload = $1", broken.id)
    assert await load_waiting() == 1
    states = [
        (await pools.upload_of(publisher=offer.publisher.id, upload=one.id)).state for one in (broken, good)
    ]
    assert states == ["loading", "loaded"]


@pytest.mark.parametrize("days", [-1, 3_661])
async def test_a_day_that_is_over_or_far_off_is_no_expiry(database: str, days: int) -> None:
    with pytest.raises(Invalid):
        await uploaded(await a_pool(), b"AA", expires_on=clock.local_day(clock.now()) + timedelta(days=days))
