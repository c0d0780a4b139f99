"""Forecasts over the API and on pages without JavaScript: for their publisher, for the operator, for nobody else."""

from __future__ import annotations

from marketplace import db
from marketplace.identity.tokens import Principal
from marketplace.ids import new_id
from marketplace.offers import lifecycle
from tests import builders
from tests.merchants.people import the_operator
from tests.web.test_kept import an_app, keeping  # noqa: F401  (fixtures)
from tests.web.test_limits import call, staff_of  # noqa: F401
from tests.web.test_offer_pages import owner  # noqa: F401
from tests.web.test_pages import a_signed_in_operator, anyone, app  # noqa: F401


async def test_a_publisher_forecasts_a_draft_over_the_api_and_has_it_again_by_its_seed(call) -> None:  # noqa: F811
    for _ in range(20):
        await builders.a_resident()
    publisher = await builders.a_publisher(stores=["光谷店"])
    staff, cashier = await staff_of(publisher), await staff_of(publisher, "cashier")
    path = f"/publisher/offers/{(await builders.a_draft(publisher, stock_total=30)).id}/forecast"

    made = await call(staff, "POST", path, {})
    again = await call(staff, "POST", path, {"seed": made.json()["seed"]})

    assert made.status_code == 200
    assert made.json()["funnel"][-1] == {"step": "rule_holds", "count": 20, "low": 20, "high": 20}
    assert set(made.json()["days"][0]) == {"day", "on", "by"}
    assert made.json()["taken"] == made.json()["days"][-1]["by"]
    assert again.json()["days"] == made.json()["days"]
    assert (await call(cashier, "POST", path, {})).status_code == 403
    assert (await call(await staff_of(await builders.a_publisher()), "POST", path, {})).status_code == 404
    assert (await call(staff, "GET", path)).status_code == 404  # none was kept yet
    assert (await call(staff, "POST", path, {"seed": -1})).status_code == 400


async def test_only_an_operator_tries_a_resident_and_is_answered_in_words(call) -> None:  # noqa: F811
    resident = await builders.a_resident(50)
    publisher = await builders.a_publisher(stores=["光谷店"])
    draft = await builders.a_draft(publisher)
    given = {"resident": str(resident), "purpose": "申诉"}
    path = f"/operator/offers/{draft.id}/dry-run"

    answer = await call(await the_operator(), "POST", path, given)

    assert answer.json()["eligible"] is False
    assert answer.json()["reasons"][0]["code"] == "insufficient_reductions"
    assert answer.json()["reasons"][0]["detail"]
    assert (await call(await staff_of(publisher), "POST", path, given)).status_code == 403
    assert (await call(await the_operator(), "POST", path, given | {"purpose": ""})).status_code == 400
    assert (
        await call(await the_operator(), "POST", path, given | {"resident": str(new_id())})
    ).status_code == 404
    assert (await call(Principal("resident", str(resident)), "POST", path, given)).status_code == 403
    assert await db.fetch_value("SELECT count(*) FROM dry_run") == 1


async def test_a_publisher_sees_a_forecast_with_its_plot_and_its_table(owner) -> None:  # noqa: F811
    for _ in range(20):
        await builders.a_resident()
    draft = await builders.a_draft(owner.publisher, stock_total=5)
    page = await owner.open(f"/publisher/offers/{draft.id}")
    assert f'href="/publisher/offers/{draft.id}/forecast"' in page
    page = await owner.open(f"/publisher/offers/{draft.id}/forecast")
    assert "<svg" not in page

    page = await owner.send(f"/publisher/offers/{draft.id}/forecast")

    assert 'class="plot__band"' in page
    assert page.count('<th scope="row">') == 13
    assert "style=" not in page
    assert "dry-run" not in page


async def test_what_cannot_be_forecast_says_why(owner) -> None:  # noqa: F811
    draft = await builders.a_draft(owner.publisher, price_g=None)
    await owner.open(f"/publisher/offers/{draft.id}/forecast")
    page = await owner.send(f"/publisher/offers/{draft.id}/forecast", status=400)
    assert 'role="alert"' in page
    other = await builders.a_draft(await builders.a_publisher())
    await owner.open(f"/publisher/offers/{other.id}/forecast", status=404)


async def test_an_operator_reads_the_forecast_at_approval_and_tries_a_resident(anyone) -> None:  # noqa: F811
    publisher = await builders.a_publisher(stores=["光谷店"])
    draft = await builders.a_draft(publisher)
    await lifecycle.submit(publisher=publisher, offer=draft.id, actor="test")
    resident = await builders.a_resident(50)
    visitor = anyone()
    await a_signed_in_operator(visitor)
    place = f"/operator/offers/{draft.id}"
    assert f'href="{place}/forecast"' in await visitor.open("/operator/approvals")
    await visitor.open(f"{place}/forecast")

    page = await visitor.send(f"{place}/dry-run", status=400, resident="x", purpose="申诉 7")
    assert 'value="申诉 7"' in page
    assert page.count("field--bad") == 1
    page = await visitor.send(f"{place}/dry-run", resident=str(resident), purpose="申诉 7")
    assert "notice--warn" in page
    await visitor.send(f"{place}/dry-run", status=400, resident=str(new_id()), purpose="申诉 7")
