"""A publisher's page of one offer: its form where it can be changed, else what it says; and its pool of codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from litestar import Response

from incentives.programmes import programme_names
from incentives.rules import FIELD
from marketplace.campaigns.joining import joinable_campaigns
from marketplace.errors import ChutanError, Invalid
from marketplace.offers.benefits import Kind
from marketplace.offers.view import OfferView
from marketplace.pools import pool_of
from marketplace.publishers import stores
from merchants.publishing import may
from web.access import Staff
from web.pages.differing import field_label
from web.pages.forms import AnyRequest
from web.pages.limit_facts import usage_shown
from web.pages.limit_form import LIMIT_FIELDS
from web.pages.offer_form import BENEFIT, BenefitField, at_fields, at_till, editable, fields_of, keeps
from web.pages.rendering import Words, page, words_of
from web.pages.rule_showing import rule_shown
from web.pages.showing import offer_details, payers

EDITABLE: Final = frozenset({"draft", "rejected", "approved", "live", "sold_out", "paused"})
SUBMITTABLE: Final = frozenset({"draft", "rejected"})


async def offer_page(
    request: AnyRequest, staff: Staff, offer: OfferView, *, wrong: Invalid | None = None
) -> Response[str]:
    """The offer in the form; one that cannot be edited here is shown."""
    words = words_of(request)
    if may(staff.role, "publish") and offer.status in EDITABLE and editable(offer):
        return await form_page(request, offer.kind, fields_of(offer), staff=staff, offer=offer, wrong=wrong)
    errors = words.errors(wrong.errors) if wrong else {}
    return await page(
        request, "publisher/offer.html", area="publisher", status=400 if wrong else 200,
        offer=offer_details(words, offer, payers=await payers(words)), errors=errors,
        pool=await _pool(offer), usage=usage_shown(words, offer),
        place=f"/publisher/offers/{offer.id}", may_publish=may(staff.role, "publish"),
    )  # fmt: skip


async def form_page(
    request: AnyRequest, kind: Kind, fields: Mapping[str, Any], *, staff: Staff, offer: OfferView | None = None,
    wrong: Invalid | None = None, clash: ChutanError | None = None,
) -> Response[str]:  # fmt: skip
    """The form with `fields`, and every error at its field; `clash` tells that somebody else has changed the offer."""
    words = words_of(request)
    approved = offer is not None and offer.status not in SUBMITTABLE
    return await page(
        request, "publisher/offer_form.html", area="publisher", status=400 if wrong else 409 if clash else 200,
        **await form_values(words, kind, fields, staff=staff, offer=offer, wrong=wrong),
        action=f"/publisher/offers/{offer.id}" if offer else "/publisher/offers/new",
        can_submit=(offer is None and kind != "code") or (offer is not None and not approved),
        reason=offer.reason if offer and isinstance(offer.reason, str) else None,
        status_words=words(f"status.{offer.status}") if offer else None,
        pool=await _pool(offer) if offer else None,
        usage=usage_shown(words, offer) if offer and approved else None,
        approved=approved, place=f"/publisher/offers/{offer.id}" if offer else None,
        clash=clash_words(words, kind, clash) if clash else None,
    )  # fmt: skip


async def form_values(
    words: Words, kind: Kind, fields: Mapping[str, Any], *, staff: Staff, offer: OfferView | None,
    wrong: Invalid | None = None,
) -> dict[str, Any]:  # fmt: skip
    """What the fields of a form need, whether they stand on one page or on several."""
    errors = words.errors(at_fields(wrong.errors, kind=kind)) if wrong else {}
    rule = rule_shown(
        words, fields["rule"], programmes=await programme_names(), wrong=wrong.errors if wrong else ()
    )
    shown = {*fields, "perk", "codes", FIELD, *(row["at"] for row in rule["rows"])}
    approved = offer is not None and offer.status not in SUBMITTABLE
    names = await payers(words)
    campaign = str(offer.funding.campaign or "") if offer else ""
    return {
        "kind": kind, "kind_words": words(f"kind.{kind}"), "fields": fields, "errors": errors,
        "other_errors": [f"{field}: {why}" for field, why in errors.items() if field not in shown],
        "benefit": [_shown(words, kind, part) for part in BENEFIT[kind] if not part.one_of],
        "perks": [_shown(words, kind, part) for part in BENEFIT[kind] if part.one_of],
        "benefit_stays": approved and campaign != "", "at_till": at_till(kind), "keeps": keeps(kind),
        "own_stores": await stores(publisher=staff.publisher) if at_till(kind) else [],
        "campaigns": [] if approved else await _campaigns_for(staff),
        "payer": names.get(campaign, words("form.own_funds")) if approved else None,
        "rule": rule,
        "limits_shown": any(fields[name] or name in errors for name in LIMIT_FIELDS),
        "version": offer.version if offer else "",
    }  # fmt: skip


def clash_words(words: Words, kind: Kind, clash: ChutanError) -> str:
    """What somebody else has changed meanwhile, in a sentence."""
    names = [field_label(words, kind, field) for field in clash.facts.get("fields", ())]
    return words("wizard.clash", fields=words("fact.comma").join(names))


def _shown(words: Words, kind: str, part: BenefitField) -> dict[str, Any]:
    units = {"yuan": words("yuan"), "rate": "%"}
    return {
        "path": f"benefit.{part.name}",
        "label": field_label(words, kind, f"benefit.{part.name}"),
        "unit": units.get(part.typed_as, ""),
        "hint": words("form.rate_hint") if part.one_of and part.typed_as == "rate" else "",
        "mode": {"text": "", "rate": "", "yuan": "decimal", "whole": "numeric"}[part.typed_as],
        "needed": part.needed,
        "max": "100" if part.typed_as == "text" else "15",
    }


async def _campaigns_for(staff: Staff) -> list[tuple[str, str]]:
    return [(str(one.id), one.name) for one in await joinable_campaigns(publisher=staff.publisher)]


async def _pool(offer: OfferView) -> dict[str, Any] | None:
    if offer.kind != "code":
        return None
    pool = await pool_of(offer.id)
    return {
        "place": f"/publisher/offers/{offer.id}/codes", "codes": pool.codes, "given": pool.given, "left": pool.left,
        "low": pool.low and pool.codes > 0,
    }  # fmt: skip
