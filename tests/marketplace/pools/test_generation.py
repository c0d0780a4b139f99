"""Codes of our own making: well-formed, not to be guessed, once handed over to the shop."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from marketplace import pools
from marketplace.errors import Invalid, NotFound, Refused
from marketplace.pools import generation, loading
from marketplace.pools.generation import ALPHABET, a_code, export, is_well_formed
from marketplace.pools.loading import load_waiting
from tests.builders import a_key, a_publisher, an_offer, redeemed
from tests.marketplace.pools.filling import a_pool, codes_in, generated, loaded


async def test_codes_are_made_with_prefix_length_and_check_letter(database: str) -> None:
    offer = await a_pool()
    await generated(offer, count=2_500, prefix=" shuba", length=13)
    await load_waiting()
    codes = await codes_in(offer.id)
    assert len(set(codes)) == 2_500
    assert all(code.startswith("SHUBA") and len(code) == 18 and is_well_formed(code) for code in codes)
    assert not set("01ILO") & set("".join(codes))


def test_one_wrong_letter_and_two_swapped_ones_are_found_out():
    for length in generation.LENGTHS:
        code = a_code("W" * generation.MAX_PREFIX, length)
        assert is_well_formed(code)
        for place in range(len(code)):
            wrong = [
                code[:place] + letter + code[place + 1 :] for letter in ALPHABET if letter != code[place]
            ]
            assert not any(map(is_well_formed, wrong))
        for one in range(len(code)):
            for other in range(one):
                letters = list(code)
                letters[one], letters[other] = letters[other], letters[one]
                assert is_well_formed("".join(letters)) is (letters == list(code))
    assert not is_well_formed("")
    assert not is_well_formed("o0")


def test_every_letter_is_as_likely_in_every_place():
    codes = [a_code("", 11) for _ in range(6_200)]
    for place in range(11):
        counts = Counter(code[place] for code in codes)
        assert len(counts) == 31
        assert max(counts.values()) < 320, "200 are expected, with a deviation of 14"


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"prefix": "SHOP"}, "prefix"), ({"prefix": "A-"}, "prefix"), ({"prefix": "A" * 9}, "prefix"),
        ({"length": 10}, "length"), ({"length": 21}, "length"), ({"count": 0}, "count"), ({"count": 100_001}, "count"),
    ],
)  # fmt: skip
async def test_what_could_be_guessed_or_misread_is_not_made(database: str, asked, field) -> None:
    with pytest.raises(Invalid) as invalid:
        await generated(await a_pool(), **{"count": 5} | asked)
    assert [error.field for error in invalid.value.errors] == [field]


async def test_one_key_makes_codes_once(database: str) -> None:
    offer = await a_pool()

    async def asked() -> pools.Upload:
        return await pools.generate(
            publisher=offer.publisher.id, offer=offer.id, prefix="", length=11, count=3, expires_on=None, actor="t",
            key=a_key("staff"),
        )  # fmt: skip

    first = await asked()
    assert (await asked()).id == first.id
    await load_waiting()
    assert len(await codes_in(offer.id)) == 3


async def test_making_codes_goes_on_where_it_was_broken_off(database: str) -> None:
    offer = await a_pool()
    upload = await generated(offer, count=2_001)
    await loading._load_batch(upload.id)
    assert (await pools.upload_of(publisher=offer.publisher.id, upload=upload.id)).loaded == 1_000
    await loading.load(upload.id)
    after = await pools.upload_of(publisher=offer.publisher.id, upload=upload.id)
    assert (after.state, after.added) == ("loaded", 2_001)


async def test_generated_codes_are_handed_over_whole_and_once(database: str) -> None:
    offer = await an_offer(kind="code", codes=["AA"])
    await redeemed(offer)
    upload = await generated(offer, count=5)
    with pytest.raises(Refused, match="codes_not_ready"):
        await export(publisher=offer.publisher.id, upload=upload.id, actor="t")
    await load_waiting()
    given = (await redeemed(offer))[1]
    with pytest.raises(NotFound):
        await export(publisher=await a_publisher(), upload=upload.id, actor="t")
    outcomes = await asyncio.gather(
        *(export(publisher=offer.publisher.id, upload=upload.id, actor="t") for _ in range(3)),
        return_exceptions=True,
    )
    (codes,) = [outcome for outcome in outcomes if isinstance(outcome, list)]
    assert given in codes
    assert sorted(codes) == sorted(code for code in await codes_in(offer.id) if code != "AA")
    assert [str(one) for one in outcomes if isinstance(one, Refused)] == ["codes_exported_already"] * 2


async def test_codes_that_were_uploaded_are_not_handed_out(database: str) -> None:
    offer = await a_pool()
    upload = await loaded(offer, b"AA")
    with pytest.raises(NotFound):
        await export(publisher=offer.publisher.id, upload=upload.id, actor="t")
