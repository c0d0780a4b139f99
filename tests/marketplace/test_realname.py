"""The real-name check: what is a number, who is old enough, and what an answer of the provider means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
import respx

from marketplace import clock
from marketplace.errors import Invalid, Refused, Unavailable
from marketplace.identity.realname import (
    CHECKS_PER_DAY,
    HttpIdentityCheck,
    RealNames,
    SandboxIdentityCheck,
    claim,
    identified,
    masked_name,
)
from marketplace.identity.stores import MemoryStore
from tests.builders import an_id_number

URL = "https://identity.example/check"
NUMBER = "11010519491231002X"  # the example of GB 11643


@pytest.mark.parametrize(
    "typed",
    [NUMBER, NUMBER.lower(), " 110105 19491231 002x ", "１１０１０５１９４９１２３１００２Ｘ", "110105-19491231-002X"],
)  # fmt: skip
def test_a_number_is_the_same_however_it_is_typed(typed):
    assert claim(" 张  三 ", typed) == ("张 三", NUMBER)


def test_whoever_was_born_before_their_county_got_its_code_has_a_number_too():
    assert claim("张三", an_id_number(born="19500101", place="420111"))


@pytest.mark.parametrize(
    "number",
    ["", "1", NUMBER[:-1] + "1", NUMBER[:-1], NUMBER + "X", "11010519490231002X", "110105194912310O2X",
     "1101051949123100\nX", "一1010519491231002X", "²10105194912310021", "130503670401001", "\ud800" * 18,
     an_id_number(born="20990101"), an_id_number(born="17990101")],
    ids=range(14),
)  # fmt: skip
def test_what_is_no_number_is_invalid(number):
    with pytest.raises(Invalid) as refusal:
        claim("张三", number)
    assert refusal.value.errors[0].field == "id_number"


def test_a_name_is_needed_and_not_endless():
    for name in ("", "  ", "张" * 51):
        with pytest.raises(Invalid) as refusal:
            claim(name, NUMBER)
        assert [error.field for error in refusal.value.errors] == ["name"]


def test_on_the_fourteenth_birthday_in_shanghai_no_guardian_is_needed_any_more():
    born = clock.local_day(clock.now())
    number = an_id_number(born=f"{born.year - 14}{born:%m%d}" if (born.month, born.day) != (2, 29) else None)
    tonight = clock.end_of_day(born) - timedelta(days=1) - clock.now()
    with clock.travelled(tonight - timedelta(minutes=1)), pytest.raises(Refused, match="guardian_needed"):
        claim("张三", number)
    with clock.travelled(tonight + timedelta(minutes=1)):
        assert clock.now().astimezone(UTC) < datetime.combine(born, datetime.max.time(), UTC)
        assert claim("张三", number).id_number == number


async def test_the_provider_says_yes_or_no():
    with respx.mock() as provider:
        asked = provider.post(URL)
        async with httpx.AsyncClient() as client:
            check = HttpIdentityCheck(URL, client)
            for match in (True, False):
                asked.mock(return_value=httpx.Response(200, json={"match": match}))
                assert await check.check("张三", NUMBER) is match
        assert asked.calls.last.request.content == b'{"name":"\xe5\xbc\xa0\xe4\xb8\x89","id_number":"%s"}' % (
            NUMBER.encode()
        )


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500, json={"match": True}),
        httpx.Response(302, headers={"location": "https://elsewhere.example"}),
        httpx.Response(200, html="<h1>Sign in</h1>"), httpx.Response(200, content=b""),
        httpx.Response(200, json={}), httpx.Response(200, json={"match": "true"}), httpx.Response(200, json=[True]),
        httpx.Response(200, content=b'{"match":"\xff"}'), httpx.Response(429),
        httpx.ReadTimeout("slow"), httpx.ConnectTimeout("slow"), httpx.ConnectError("gone"),
        httpx.RemoteProtocolError("odd"),
    ],
    ids=str,
)  # fmt: skip
async def test_any_other_answer_is_none(answer):
    with respx.mock() as provider:
        if isinstance(answer, httpx.Response):
            provider.post(URL).mock(return_value=answer)
        else:
            provider.post(URL).mock(side_effect=answer)
        async with httpx.AsyncClient() as client:
            with pytest.raises(Unavailable):
                await HttpIdentityCheck(URL, client).check("张三", NUMBER)


async def test_the_check_is_no_oracle():
    store, account, real_names = MemoryStore(), uuid4(), RealNames(SandboxIdentityCheck(), "key")
    for _ in range(CHECKS_PER_DAY):
        with pytest.raises(Refused, match="identity_mismatch"):
            await identified(claim("张不符", NUMBER), resident=account, real_names=real_names, store=store)
    with pytest.raises(Refused, match="rate_limited"):
        await identified(claim("张三", NUMBER), resident=account, real_names=real_names, store=store)
    found = await identified(claim("张三", NUMBER), resident=uuid4(), real_names=real_names, store=store)
    assert found.name == "张三"


async def test_a_person_is_the_same_under_one_key_and_the_number_is_not_in_it():
    async def person(number: str, key: str) -> str:
        found = await identified(
            claim("张三", number), resident=uuid4(), real_names=RealNames(SandboxIdentityCheck(), key),
            store=MemoryStore(),
        )  # fmt: skip
        return found.person

    first = await person(NUMBER, "a")
    assert first == await person(NUMBER.lower(), "a")
    assert len({first, await person(NUMBER, "b"), await person(an_id_number(), "a")}) == 3
    assert NUMBER[:-1] not in first
    assert "secret" not in repr(RealNames(SandboxIdentityCheck(), "secret"))


def test_a_name_is_shown_masked():
    assert [masked_name(name) for name in ("张三", "欧阳娜娜", "张", "", None)] == [
        "张*",
        "欧***",
        "张*",
        None,
        None,
    ]
