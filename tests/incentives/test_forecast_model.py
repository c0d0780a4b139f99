"""What a forecast works out, without a database: by properties, and against worlds whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from incentives.forecasts.chance import capped, poisson
from incentives.forecasts.exposure import Seen
from incentives.forecasts.paths import Outcome, Plan, outcome, played
from incentives.forecasts.rates import PRIOR_RATE, Past, Rates, learnt, taste
from incentives.forecasts.replay import DAYS, Judged, Wallet, able_by_day, estimated
from incentives.forecasts.worker import worked_out
from incentives.forecasts.working import Question, work_out

TODAY = date(2026, 11, 24)
MONDAY = date(2026, 11, 30)
EVERY_DAY = tuple([1.0] * 7)
KNOWN = Rates(((0.02, 0.2),), (1.0,), 0.2)


def a_plan(
    able: float = 5_000, *, times: int = 40, days: int = 30, first: date = MONDAY, **more: Any
) -> Plan:
    """`able` residents, each of whom could take it up to `times` times."""
    counts = [0.0] * times + [able]
    return Plan(
        **{"first": first, "able": [counts] * days, "open": [1.0] * days, "rates": KNOWN, "taste": 1.0} | more
    )


def of(plan: Plan, *, seed: int = 1, paths: int = 100) -> Outcome:
    return outcome(plan, list(played(plan, seed=seed, paths=paths)))


def a_question(**more: Any) -> Question:
    wallets = [Wallet(n * 10, {5: 100, 40: -50}) for n in range(100)]
    given = {
        "residents": 100, "wallets": wallets, "redeemed": [0] * 100, "judged": [Judged()] * 100, "price_g": 300,
        "per_resident_limit": None, "per_resident_per_day": None, "per_resident_per_week": None, "units": None,
        "units_per_day": None, "today": TODAY, "first": TODAY + timedelta(days=1), "open": [1.0] * 30, "past": [],
        "rules": [], "seed": 5, "paths": 60,
    }  # fmt: skip
    return Question(**given | more)


# ------------------------------------------------------------------ numbers by chance
@given(st.floats(0.01, 500), st.floats(0.001, 0.999), st.floats(1.01, 3))
def test_a_poisson_number_grows_with_its_mean(mean: float, at: float, more: float) -> None:
    assert poisson(mean, at) <= poisson(mean * more, at) + (mean < 100 <= mean * more)


def test_poisson_numbers_have_their_mean_and_variance_below_and_above_the_approximation() -> None:
    chance = Random(3)
    for mean in (0.3, 7.0, 99.0, 400.0):
        drawn = [poisson(mean, chance.random()) for _ in range(20_000)]
        found = sum(drawn) / len(drawn)
        variance = sum((one - found) ** 2 for one in drawn) / len(drawn)
        assert abs(found - mean) < 4 * (mean / 20_000) ** 0.5, mean
        assert abs(variance / mean - 1) < 0.06, mean


@given(st.floats(0, 30), st.floats(0.1, 20), st.integers(1, 40))
def test_what_a_capped_resident_takes_is_below_the_cap_and_below_what_one_without_takes(
    mean: float, shape: float, most: int
) -> None:
    expected = capped(mean, shape, most)
    assert all(before <= after for before, after in pairwise(expected))
    assert expected[most] <= min(mean, most) + 1e-9


def test_what_capped_residents_take_is_what_many_of_them_take() -> None:
    chance = Random(8)
    takes = [poisson(2.0 * chance.gammavariate(0.7, 1 / 0.7), chance.random()) for _ in range(40_000)]
    for most in (1, 2, 5):
        assert abs(sum(min(one, most) for one in takes) / len(takes) - capped(2.0, 0.7, 5)[most]) < 0.03


# ------------------------------------------------------------------ paths
plans = st.fixed_dictionaries({
    "able": st.floats(20, 20_000), "times": st.integers(1, 40), "days": st.integers(1, 40),
    "units": st.one_of(st.none(), st.integers(0, 3_000)), "units_per_day": st.one_of(st.none(), st.integers(1, 200)),
    "per_resident_per_week": st.one_of(st.none(), st.integers(1, 3)), "able_error": st.floats(0, 0.3),
})  # fmt: skip


@given(plans, st.integers(0, 2**53 - 1))
@settings(max_examples=40, deadline=None)
def test_quantiles_are_in_order_never_fall_and_never_pass_the_cap(shape: dict[str, Any], seed: int) -> None:
    found = of(a_plan(**shape), seed=seed, paths=20)
    for one in (*found.by_day, *found.on_day):
        assert 0 <= one.p10 <= one.p50 <= one.p90
    for before, after in pairwise(found.by_day):
        assert (before.p10, before.p50, before.p90) <= (after.p10, after.p50, after.p90)
    if shape["units"] is not None:
        assert found.by_day[-1].p90 <= shape["units"]
    if shape["units_per_day"] is not None:
        assert all(one.p90 <= shape["units_per_day"] for one in found.on_day)
    ends = [day for day in (found.ending.p10, found.ending.p50, found.ending.p90) if day is not None]
    assert ends == sorted(ends)


@given(plans, st.integers(0, 2**53 - 1))
@settings(max_examples=30, deadline=None)
def test_the_same_seed_answers_the_same(shape: dict[str, Any], seed: int) -> None:
    assert of(a_plan(**shape), seed=seed, paths=10) == of(a_plan(**shape), seed=seed, paths=10)


def test_another_seed_answers_a_little_differently() -> None:
    one, other = (of(a_plan(), seed=seed).by_day[-1] for seed in (1, 2))
    assert one != other
    assert abs(one.p50 / other.p50 - 1) < 0.2


@given(plans, st.integers(1, 3_000), st.integers(0, 2_000), st.integers(0, 1_000))
@settings(max_examples=40, deadline=None)
def test_more_stock_is_never_taken_less_of(shape: dict[str, Any], stock: int, more: int, seed: int) -> None:
    less = of(a_plan(**shape | {"units": stock}), seed=seed, paths=20).by_day
    with_more = of(a_plan(**shape | {"units": stock + more}), seed=seed, paths=20).by_day
    for before, after in zip(less, with_more, strict=True):
        assert (before.p10, before.p50, before.p90) <= (after.p10, after.p50, after.p90)


@given(st.integers(50, 1_500), st.integers(1, 1_500), st.integers(0, 1_000))
@settings(max_examples=30, deadline=None)
def test_a_higher_price_is_never_taken_more_often(price_g: int, more: int, seed: int) -> None:
    wallets = [Wallet(n * 12, {5: 100, 40: -50, 80: 200}) for n in range(150)]

    def taken(price_g: int) -> Outcome:
        able = able_by_day(wallets, [Judged()] * 150, price_g=price_g, limit=None, weight=100.0, skip=0,
                           weekdays=[n % 7 for n in range(30)])  # fmt: skip
        return of(a_plan(days=30, able=0) if not able else Plan(
            first=MONDAY, able=able, open=[1.0] * 30, rates=KNOWN, taste=1.0), seed=seed, paths=20)  # fmt: skip

    cheap, dear = taken(price_g), taken(price_g + more)
    for low, high in zip(dear.by_day, cheap.by_day, strict=True):
        assert (low.p10, low.p50, low.p90) <= (high.p10 + 1, high.p50 + 1, high.p90 + 1)


def test_a_stock_that_is_used_up_ends_when_the_paths_do() -> None:
    found = of(a_plan(able=5_000, units=300, days=60))
    assert found.ending.within_bp == 10_000
    first_full = next(n for n, one in enumerate(found.by_day) if one.p50 == 300)
    assert found.ending.p50 == MONDAY + timedelta(days=first_full)


def test_nothing_is_taken_on_a_day_on_which_the_offer_is_closed() -> None:
    found = of(a_plan(days=14, open=[0.0 if n % 7 in (5, 6) else 1.0 for n in range(14)]))
    assert [n for n, one in enumerate(found.on_day) if one.p90 == 0] == [5, 6, 12, 13]


def test_a_resident_who_may_take_one_a_week_takes_one_in_each() -> None:
    eager = Rates(((3.0, 0.2),), (1.0,), 0.2)
    found = of(a_plan(able=100, days=14, rates=eager, per_resident_per_week=1, taste=20.0), paths=60)
    assert 85 <= found.by_day[6].p50 <= 110
    assert 170 <= found.by_day[13].p50 <= 220


# ------------------------------------------------------------------ rates
def test_without_history_the_prior_is_answered_and_it_is_wide() -> None:
    drawn = sorted(learnt([]).drawn(Random(n)) for n in range(2_000))
    assert 0.3 < drawn[1_000] / PRIOR_RATE < 1.5
    assert drawn[1_800] > 10 * drawn[200]


def test_history_draws_the_rate_to_what_it_was_and_makes_it_narrower() -> None:
    pasts = [Past(tuple((taken, 1_000.0) for taken in (18, 22, 20, 19, 21))) for _ in range(10)]
    drawn = sorted(learnt(pasts).drawn(Random(n)) for n in range(1_000))
    assert 0.017 < drawn[500] < 0.023
    assert drawn[900] < 2 * drawn[100]


def test_residents_who_take_unequally_are_seen_to() -> None:
    chance = Random(4)
    for shape in (0.5, 2.0):
        takes = [poisson(1.5 * chance.gammavariate(shape, 1 / shape), chance.random()) for _ in range(5_000)]
        assert abs(taste(takes) / shape - 1) < 0.25


# ------------------------------------------------------------------ wallets
def test_a_wallet_is_played_back_and_on() -> None:
    wallet = Wallet(1_000, {0: 300, 1: 200, 90: 50, 89: -100})
    past, coming = wallet.past_g(), list(wallet.coming_g(92))
    assert (past[-1], past[-2], past[-3], past[1]) == (1_000, 700, 500, 500)
    assert coming[:3] == [1_050, 950, 950]
    assert (coming[89], coming[90], coming[91]) == (1_150, 1_450, 1_500)


def test_a_day_to_come_is_the_weekday_of_the_day_that_it_repeats() -> None:
    assert DAYS % 7 == 0


def test_grams_and_limit_say_how_often_a_resident_could_take_it() -> None:
    wallets = [Wallet(950, {1: 1}), Wallet(5_000, {1: 1}), Wallet(5_000, {}), Wallet(100, {1: 1})]
    able = able_by_day(wallets, [Judged()] * 4, price_g=300, limit=4, weight=10.0, skip=0, weekdays=[0])
    assert able == [[0, 0, 0, 10, 10]]


@given(st.integers(0, 500), st.integers(0, 500), st.integers(1, 2_000_000))
def test_fewer_than_ten_residents_are_never_told_of_and_others_in_tens(
    a: int, b: int, residents: int
) -> None:
    found, sample = min(a, b), max(a, b, 1)
    told = estimated(found, sample=sample, residents=max(residents, sample))
    if found < 10:
        assert (told.count, told.low, told.high) == (None, None, None)
    else:
        assert told.count is not None
        assert told.count % 10 == 0
        assert told.low is not None
        assert told.high is not None
        assert told.low <= told.count + 10
        assert told.count <= told.high + 10


def test_where_fewer_than_ten_could_take_it_no_number_of_coupons_is_told() -> None:
    found = work_out(a_question(price_g=930))
    assert found.funnel[-1].count is None
    assert (found.by_day, found.on_day, found.ending) == (None, None, None)


async def test_the_process_of_its_own_answers_what_is_worked_out_here() -> None:
    question = a_question()
    assert await worked_out(question) == work_out(question)


# ------------------------------------------------------------------ worlds whose truth is known
def a_world(chance: Random, *, rate: float, residents: int, limit: int, days: int) -> list[int]:
    """What residents who differ in taste take of one offer, resident by resident and day by day."""
    tastes = [chance.gammavariate(1.0, 1.0) for _ in range(residents)]
    used = [0] * residents
    taken = []
    for _ in range(days):
        today = 0
        for resident in range(residents):
            if used[resident] < limit:
                got = min(poisson(rate * tastes[resident], chance.random()), limit - used[resident])
                used[resident] += got
                today += got
        taken.append(today)
    return taken


def the_seen(taken: Sequence[int], *, limit: int) -> Seen:
    agos = range(len(taken), 0, -1)
    counts = dict(zip(agos, taken, strict=True))
    return Seen(price_g=100, per_resident_limit=limit, stock_per_day=None, live=dict.fromkeys(agos, 1.0),
                taken=counts, known_from=90, gone=False, open=EVERY_DAY, rule=0)  # fmt: skip


def test_a_model_whose_truth_is_known_is_recovered_in_a_backtest() -> None:
    inside = above = 0
    worlds = 24
    for number in range(worlds):
        chance = Random(number)
        rates = [0.01 * chance.gammavariate(1 / 0.3**2, 0.3**2) for _ in range(9)]
        pasts = [a_world(chance, rate=rate, residents=400, limit=2, days=30) for rate in rates[:8]]
        truth = sum(a_world(chance, rate=rates[8], residents=400, limit=2, days=30))
        found = work_out(a_question(
            residents=400, wallets=[Wallet(10_000, {1: 1})] * 400, redeemed=[0] * 400, judged=[Judged()] * 400,
            price_g=100, per_resident_limit=2, past=[the_seen(past, limit=2) for past in pasts], rules=[[True] * 400],
            seed=number, paths=100,
        ))  # fmt: skip
        assert found.by_day is not None
        end = found.by_day[-1]
        inside += end.p10 <= truth <= end.p90
        above += truth > end.p50
    assert inside >= worlds * 0.65, inside  # eight in ten are meant
    assert worlds * 0.2 <= above <= worlds * 0.8, above
