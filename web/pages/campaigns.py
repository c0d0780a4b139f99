"""The operator's campaigns: all of them with their budgets, and one with its money, its funders and its offers."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final
from uuid import UUID

from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from marketplace.campaigns import ending, funding, opening, reading, trail
from marketplace.campaigns.reading import Campaign
from marketplace.campaigns.trail import CampaignEvent
from marketplace.errors import ChutanError, FieldError, Invalid
from web.access import Operator, province_only
from web.pages.campaign_form import audience_words, fields_of, form_values, given_by
from web.pages.forms import AnyRequest, Typed, as_hundredths, hundredths, idempotency_key, typed
from web.pages.rendering import Words, back, page, when, when_it_ends, words_of

PLACE: Final = "/operator/campaigns"
MAX_FEN: Final = 100_000_000_000
_TURNS: Final[Mapping[str, Callable[..., Coroutine[Any, Any, Any]]]] = {
    "pause": opening.pause_campaign, "resume": opening.resume_campaign, "end": ending.end_campaign,
}  # fmt: skip
_POSSIBLE: Final[Mapping[str, tuple[str, ...]]] = {
    "open": ("pause", "end"), "upcoming": ("pause", "end"), "paused": ("resume", "end"), "over": ("end",),
    "ended": (),
}  # fmt: skip


@get(PLACE, include_in_schema=False)
async def campaigns(request: AnyRequest, operator: NamedDependency[Operator]) -> Response[str]:
    """All of them, newest first."""
    words = words_of(request)
    shown = [summary(words, one) for one in reversed(await reading.campaigns())]
    return await page(request, "operator/campaigns.html", area="operator", campaigns=shown)


@get(f"{PLACE}/new", include_in_schema=False)
async def new(request: AnyRequest, operator: NamedDependency[Operator]) -> Response[str]:
    """An empty form."""
    return await _form(request, fields_of(None))


@post(f"{PLACE}/new", include_in_schema=False)
async def create(request: AnyRequest, operator: NamedDependency[Operator]) -> Response[Any]:
    """Open it."""
    form = await typed(request)
    try:
        made = await opening.open_campaign(opening.NewCampaign(**given_by(form)), actor=operator.actor)
    except Invalid as wrong:
        return await _form(request, fields_of(None, form), wrong=wrong)
    return back(f"{PLACE}/{made}")


@get(f"{PLACE}/{{campaign_id:uuid}}", include_in_schema=False)
async def one(
    request: AnyRequest, operator: NamedDependency[Operator], campaign_id: FromPath[UUID]
) -> Response[str]:
    """Its budget, what each funder has paid, its offers and what happened."""
    return await _detail(request, campaign_id)


@get(f"{PLACE}/{{campaign_id:uuid}}/edit", include_in_schema=False)
async def edit_form(
    request: AnyRequest, operator: NamedDependency[Operator], campaign_id: FromPath[UUID]
) -> Response[str]:
    """It in the form."""
    campaign = await reading.campaign(campaign_id)
    return await _form(request, fields_of(campaign), campaign=campaign)


@post(f"{PLACE}/{{campaign_id:uuid}}/edit", include_in_schema=False)
async def edit(
    request: AnyRequest, operator: NamedDependency[Operator], campaign_id: FromPath[UUID]
) -> Response[Any]:
    """Change it."""
    form, campaign = await typed(request), await reading.campaign(campaign_id)
    try:
        change = opening.CampaignChange(**given_by(form))
        await opening.edit_campaign(campaign_id, change, actor=operator.actor)
    except Invalid as wrong:
        return await _form(request, fields_of(None, form), campaign=campaign, wrong=wrong)
    except ChutanError as refused:
        return back(f"{PLACE}/{campaign_id}", refused=refused)
    return back(f"{PLACE}/{campaign_id}")


@post(f"{PLACE}/{{campaign_id:uuid}}/funding", include_in_schema=False)
async def top_up(
    request: AnyRequest, operator: NamedDependency[Operator], campaign_id: FromPath[UUID]
) -> Response[Any]:
    """Put money in, once per form."""
    form = await typed(request)
    try:
        amount_fen, funder = _payment(form)
        key = idempotency_key(form, principal=operator.actor, operation="fund campaign",
                              says=f"{campaign_id} {amount_fen} {funder}")  # fmt: skip
        await funding.fund(campaign_id, amount_fen, funder=funder, actor=operator.actor, key=key)
    except Invalid as wrong:
        return await _detail(request, campaign_id, form=form, wrong=wrong)
    except ChutanError as refused:
        return back(f"{PLACE}/{campaign_id}", refused=refused)
    return back(f"{PLACE}/{campaign_id}")


def _payment(form: Typed) -> tuple[int, UUID | None]:
    amount_fen = hundredths(form["amount_fen"], field="amount_fen")
    if amount_fen is None:
        raise Invalid(FieldError("amount_fen", "required"))
    if not 1 <= amount_fen <= MAX_FEN:
        raise Invalid(FieldError("amount_fen", "out_of_range"))
    try:
        return amount_fen, UUID(form["funder"]) if form["funder"] else None
    except ValueError as error:
        raise Invalid(FieldError("funder", "unknown")) from error


@post(f"{PLACE}/{{campaign_id:uuid}}/{{turn:str}}", include_in_schema=False, status_code=303)
async def turn(
    request: AnyRequest, operator: NamedDependency[Operator], campaign_id: FromPath[UUID], turn: FromPath[str]
) -> Redirect:
    """Pause it, put it on again, or end it."""
    place = f"{PLACE}/{campaign_id}"
    verb = _TURNS.get(turn)
    if verb is None:
        return back(place)
    try:
        await verb(campaign_id, actor=operator.actor)
    except ChutanError as refused:
        return back(place, refused=refused)
    return back(place)


# ------------------------------------------------------------------ what is shown
def summary(words: Words, campaign: Campaign) -> dict[str, Any]:
    """A campaign as lists show it: who pays, for how long, and its budget as a bar."""
    window = ""
    if campaign.starts_at or campaign.ends_at:
        window = f"{when(campaign.starts_at) or '…'} — {when_it_ends(campaign.ends_at) or '…'}"
    return {
        "id": str(campaign.id), "name": campaign.name, "status": campaign.status,
        "status_words": words(f"campaign.status.{campaign.status}"), "window": window,
        "funders": words("fact.comma").join(funder.name for funder in campaign.funders),
        "audience": audience_words(words, campaign.open_to), "bar": _bar(words, campaign),
        "exhausted": campaign.exhausted and campaign.status in ("open", "paused"),
        "alarm": campaign.alarm_percent if campaign.status != "ended" else 0,
    }  # fmt: skip


def _bar(words: Words, campaign: Campaign) -> dict[str, Any]:
    """Widths in thousandths of the whole, and the amounts beside them."""
    whole = campaign.funded_fen or 1
    spent, taken = (
        campaign.spent_fen * 1_000 // whole,
        (campaign.spent_fen + campaign.reserved_fen) * 1_000 // whole,
    )
    used = (campaign.spent_fen + campaign.reserved_fen) * 100 // whole
    return {
        "spent": spent, "reserved": taken - spent, "percent": used,
        "amounts": [
            ("spent", words("campaign.spent"), campaign.spent_fen),
            ("reserved", words("campaign.reserved"), campaign.reserved_fen),
            ("left", words("campaign.left"), campaign.budget_fen),
        ],
        "funded_fen": campaign.funded_fen, "waiting_fen": campaign.waiting_fen,
    }  # fmt: skip


async def _detail(
    request: AnyRequest, campaign_id: UUID, *, form: Typed | None = None, wrong: Invalid | None = None
) -> Response[str]:
    words, campaign = words_of(request), await reading.campaign(campaign_id)
    funders = [
        {
            "name": funder.name, "kind": words(f"campaign.funder_kind.{funder.kind}"),
            "share": f"{as_hundredths(funder.share_bp)}%",
            "amounts": [
                (words("campaign.funded"), funder.funded_fen), (words("campaign.spent"), funder.spent_fen),
                (words("campaign.reserved"), funder.reserved_fen), (words("campaign.left"), funder.left_fen),
                *([(words("campaign.waiting"), funder.waiting_fen)] if funder.waiting_fen else []),
            ],
        }
        for funder in campaign.funders
    ]  # fmt: skip
    offers = [
        {
            "title": offer.title or words("offer.untitled"), "publisher": offer.publisher, "status": offer.status,
            "status_words": words(f"status.{offer.status}"), "face_value_fen": offer.face_value_fen,
            "out_of_budget": offer.out_of_budget,
        }
        for offer in await reading.offers_of(campaign_id)
    ]  # fmt: skip
    payers = [("", words("campaign.all_funders"))] + [(str(f.id), f.name) for f in campaign.funders]
    return await page(
        request, "operator/campaign.html", area="operator", status=400 if wrong else 200,
        campaign=summary(words, campaign), funders=funders, offers=offers,
        events=[_event(words, event) for event in await trail.events_of(campaign_id)],
        turns=[(name, words(f"campaign.turn.{name}")) for name in _POSSIBLE[campaign.status]],
        payers=payers if len(payers) > 2 else [], ended=campaign.status == "ended",
        amount=form["amount_fen"] if form else "", payer=form["funder"] if form else "",
        errors=words.errors(wrong.errors) if wrong else {},
    )  # fmt: skip


def _event(words: Words, event: CampaignEvent) -> dict[str, str]:
    key = f"campaign.event.{event.event}"
    if event.event == "funded" and event.facts.get("funder"):
        key += "_by"
    return {"at": when(event.at), "words": words(key, **event.facts)}


async def _form(
    request: AnyRequest,
    fields: Mapping[str, Any],
    *,
    campaign: Campaign | None = None,
    wrong: Invalid | None = None,
) -> Response[str]:
    words = words_of(request)
    return await page(
        request, "operator/campaign_form.html", area="operator", status=400 if wrong else 200, fields=fields,
        action=f"{PLACE}/{campaign.id}/edit" if campaign else f"{PLACE}/new",
        back_to=f"{PLACE}/{campaign.id}" if campaign else PLACE, is_new=campaign is None,
        stands=campaign is not None and (campaign.funded_fen > 0 or campaign.waiting_fen > 0),
        **await form_values(words, wrong),
    )  # fmt: skip


HANDLERS = [
    Router(
        "/",
        route_handlers=[campaigns, new, create, one, edit_form, edit, top_up, turn],
        guards=[province_only],
    )
]
