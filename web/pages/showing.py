"""Offers and redemptions in words: what a template shows, worked out beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from marketplace.campaigns.reading import campaign_names
from marketplace.offers.eligibility import Reason
from marketplace.offers.view import OfferView
from marketplace.offers.windows import Conditions
from web.pages.limit_facts import limit_facts, stock_words
from web.pages.rendering import Words, when, when_it_ends
from web.reasons import sentence


def benefit_words(words: Words, kind: str, benefit: dict[str, Any] | None) -> str:
    """What an offer gives, in a few words."""
    if benefit is None:
        return words(f"kind.{kind}")
    facts = dict(benefit)
    if kind == "rate_perk":
        for name in ("off_bp", "voucher_fen", "line_uplift_bp"):
            if name in facts:
                return words(
                    f"benefit.rate_perk.{name}", product=facts["product"], **_percented({name: facts[name]})
                )
    if kind == "discount":
        key = "benefit.discount_capped" if facts.get("cap_fen") else "benefit.discount"
        return words(key, **_percented(facts))
    return words(f"benefit.{kind}", **facts)


def _percented(facts: dict[str, Any]) -> dict[str, Any]:
    return {
        name: f"{Decimal(value) / 100:f}%" if name.endswith("_bp") else value for name, value in facts.items()
    }


def offer_card(words: Words, offer: OfferView) -> dict[str, Any]:
    """An offer as lists show it."""
    return {
        "id": str(offer.id),
        "title": offer.title or words("offer.untitled"),
        "summary": offer.summary,
        "publisher": offer.publisher.name,
        "publisher_kind": words(f"publisher_kind.{offer.publisher.kind}"),
        "kind": offer.kind,
        "kind_words": words(f"kind.{offer.kind}"),
        "benefit": benefit_words(words, offer.kind, offer.benefit),
        "image_url": offer.image_url,
        "price_g": offer.price_g,
        "face_value_fen": offer.face_value_fen,
        "stock": stock_words(words, offer),
        "out_of_budget": offer.budget_exhausted,
        "status": offer.status,
        "status_words": words(f"status.{offer.status}"),
        "rule_says": [sentence(words.language, reason) for reason in _reasons(offer) if reason.why][:1],
    }


async def payers(words: Words) -> dict[str, str]:
    """The campaigns by id, in words that say whose money they are: for those who approve or publish."""
    return {
        str(campaign): words(
            "fact.paid_by_campaign_is", campaign=name, funder=words("fact.comma").join(funders)
        )
        for campaign, (name, funders) in (await campaign_names()).items()
    }


def offer_details(
    words: Words, offer: OfferView, *, payers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """An offer with all that somebody who takes it should know beforehand; `payers` tell a campaign's name."""
    return {
        **offer_card(words, offer),
        "terms": offer.terms,
        "rule": offer.eligibility,
        "facts": list(_facts(words, offer, payers or {})),
        "stores": [{"name": store.name, "address": store.address} for store in offer.stores],
        "at_once": offer.capture == "on_redemption",
        "reasons": why_not(words, offer),
        "reason": offer.reason if isinstance(offer.reason, str) else None,
    }


def why_not(words: Words, offer: OfferView) -> list[str]:
    """Why the resident who looks cannot have it, a sentence each; empty where nothing was judged or is in the way."""
    return [sentence(words.language, reason) for reason in _reasons(offer)]


def _reasons(offer: OfferView) -> list[Reason]:
    return offer.reason_details if isinstance(offer.reason_details, list) else []


def _facts(words: Words, offer: OfferView, payers: Mapping[str, str]) -> list[tuple[str, str]]:
    facts = []
    if offer.kind != "donation":
        facts.append((words("fact.valid"), words("fact.valid_days", days=offer.coupon_valid_days)))
    if offer.starts_at or offer.ends_at:
        window = f"{when(offer.starts_at) or '…'} — {when_it_ends(offer.ends_at) or '…'}"
        facts.append((words("fact.window"), window))
    facts += condition_facts(words, offer.conditions)
    facts += limit_facts(words, offer)
    facts.append((words("fact.paid_by"), payer_words(words, offer, payers)))
    return facts


def condition_facts(words: Words, conditions: Conditions) -> list[tuple[str, str]]:
    """When a coupon may be used, and over what bill."""
    facts, comma = [], words("fact.comma")
    if conditions.min_bill_fen:
        least = words("fact.min_bill_is", min_bill_fen=conditions.min_bill_fen)
        facts.append((words("fact.min_bill"), least))
    if conditions.weekdays:
        days = comma.join(words(f"weekday.{day}") for day in sorted(conditions.weekdays))
        facts.append((words("fact.weekdays"), days))
    if conditions.hours:
        facts.append((words("fact.hours"), comma.join(f"{a}–{b}" for a, b in conditions.hours)))
    return facts


def payer_words(words: Words, offer: OfferView, payers: Mapping[str, str]) -> str:
    """Who pays the face value."""
    if offer.funding.campaign is None:
        return words("fact.paid_by_publisher")
    return payers.get(str(offer.funding.campaign)) or words("fact.paid_by_campaign")
