from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import floor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incentives.methodologies import Methodology, MethodologyFault, in_force, load, quantify, shipped

FILE = """
key = "{key}"
version = {version}
behaviour = "bike"
domain = "mobility"
city = "420100"
effective_from = {effective_from}
record = "{record}"
unit = "{unit}"
formula = "quantity x factor"
factor = "{factor}"
demonstration = false
review = ""

[name]
zh = "骑行"
en = "Ride"

[source]
kind = "seen"
text = "somewhere"
"""


def written(folder: Path, *, name: str | None = None, key: str = "bike", version: int = 1,
            effective_from: str = "2020-01-01", factor: str = "93.3", record: str = "ride",
            unit: str = "km") -> str:  # fmt: skip
    name = name or f"{key}-{version}.toml"
    text = FILE.format(
        key=key, version=version, effective_from=effective_from, factor=factor, record=record, unit=unit
    )
    (folder / name).write_text(text, encoding="utf-8")
    return name


def bike() -> Methodology:
    methodology = in_force("bike-wuhan", date(2020, 6, 1))
    assert methodology is not None
    return methodology


def test_twelve_methodologies_ship_each_with_its_source():
    assert len(shipped()) == 12
    assert all(version.source.text for versions in shipped().values() for version in versions)


def test_rides_are_of_bikes_and_the_other_ten_are_quantities():
    rides = {key for key, versions in shipped().items() if versions[-1].record == "ride"}
    assert rides == {"bike-wuhan", "ebike-chongqing"}


def test_what_was_assumed_is_said():
    """The reference gives a day of effect for the cycling methodology only, and a cap for no other."""
    for key, (version,) in shipped().items():
        if key != "bike-wuhan":
            assert version.caps.daily_g is None
            assert "assume" in version.review or key == "own-bag-wuhan", key


def test_the_cycling_methodology_is_that_of_the_reference():
    assert (bike().factor_text, bike().caps.daily_g, bike().effective_from) == (
        "93.3 g/km",
        1_500,
        date(2018, 1, 1),
    )
    assert "2024" in bike().review


def test_there_is_none_before_the_first_takes_effect():
    assert in_force("bike-wuhan", date(2017, 12, 31)) is None
    assert in_force("no-such", date(2024, 1, 1)) is None


@pytest.mark.parametrize(
    ("km", "grams"),
    [("0", 0), ("1", 93), ("2.822", 263), ("10", 933), ("0.1", 9), ("0.0107", 0), ("0.010718114", 1)],
)
def test_grams_are_rounded_down(km: str, grams: int):
    assert quantify(bike(), Decimal(km)) == grams


@given(st.decimals(min_value=0, max_value=10**12, places=15, allow_nan=False))
def test_grams_are_exact(km: Decimal):
    assert quantify(bike(), km) == floor(Fraction(km) * Fraction("93.3"))


@pytest.mark.parametrize("quantity", [Decimal(-1), Decimal("NaN"), Decimal("Infinity")])
def test_what_is_no_amount_is_refused(quantity: Decimal):
    with pytest.raises(ValueError, match="quantity"):
        quantify(bike(), quantity)


def test_a_float_is_refused():
    with pytest.raises(TypeError):
        quantify(bike(), 1.5)  # type: ignore[arg-type]


def test_the_version_of_the_day_is_taken(tmp_path: Path):
    written(tmp_path, version=1, effective_from="2020-01-01", factor="40")
    written(tmp_path, version=2, effective_from="2024-01-01", factor="93.3")
    among = load(tmp_path)

    versions = [in_force("bike", day, among=among) for day in (date(2023, 12, 31), date(2024, 1, 1))]

    assert [version.factor for version in versions if version] == ["40", "93.3"]


def test_a_version_cannot_be_there_twice(tmp_path: Path):
    written(tmp_path, name="a.toml")
    written(tmp_path, name="b.toml", effective_from="2021-01-01")
    with pytest.raises(MethodologyFault, match=r"b\.toml.*a\.toml"):
        load(tmp_path)


def test_a_later_version_cannot_take_effect_earlier(tmp_path: Path):
    written(tmp_path, version=2, effective_from="2020-01-01")
    written(tmp_path, version=1, effective_from="2021-01-01")
    with pytest.raises(MethodologyFault, match="earlier"):
        load(tmp_path)


@pytest.mark.parametrize(("record", "unit"), [("ride", "kWh"), ("drive", "km"), ("quantity", "mile")])
def test_a_shape_or_unit_that_there_is_not_is_refused(tmp_path: Path, record: str, unit: str):
    name = written(tmp_path, record=record, unit=unit)
    with pytest.raises(MethodologyFault, match=name):
        load(tmp_path)


def test_records_that_may_not_overlap_have_a_longest_duration(tmp_path: Path):
    name = written(tmp_path)
    with (tmp_path / name).open("a") as file:
        file.write("[checks]\nno_overlap = true\n")
    with pytest.raises(MethodologyFault, match=name):
        load(tmp_path)


def test_versions_share_the_shape_and_unit_of_their_records(tmp_path: Path):
    written(tmp_path, version=1)
    written(tmp_path, version=2, effective_from="2024-01-01", record="quantity")
    with pytest.raises(MethodologyFault, match="shape"):
        load(tmp_path)


@pytest.mark.parametrize("factor", ["0", "-1", "1e3", "NaN", "٣", "1.2345678901234"])
def test_a_factor_is_a_positive_plain_decimal(tmp_path: Path, factor: str):
    name = written(tmp_path, factor=factor)
    with pytest.raises(MethodologyFault, match=name):
        load(tmp_path)


@pytest.mark.parametrize("text", ["key = ", 'key = "x"', 'unknown = 1\nkey = "bike"'])
def test_a_bad_file_is_named(tmp_path: Path, text: str):
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(MethodologyFault, match=r"bad\.toml"):
        load(tmp_path)
