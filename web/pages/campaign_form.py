"""The form of a campaign: its name and period, who pays which share, and which publishers it is open to."""

from __future__ import annotations

from typing import Any, Final, get_args
from uuid import UUID

from marketplace.campaigns.opening import Audience, CampaignChange, FunderKind, NewFunder
from marketplace.campaigns.reading import Campaign
from marketplace.campaigns.shares import WHOLE_BP
from marketplace.cities import CITIES
from marketplace.errors import FieldError, Invalid
from marketplace.offers.benefits import checked
from marketplace.offers.windows import end_from, start_from
from marketplace.publishers import Kind, publisher_names
from web.pages.forms import Typed, as_hundredths, hundredths
from web.pages.offer_form import end_typed, start_typed
from web.pages.rendering import Words

ROWS: Final = 10
_SHOWN_AT_FIRST: Final = 4


def given_by(form: Typed) -> dict[str, Any]:
    """What the form asks for. Raises Invalid with every field that is wrong."""
    errors: list[FieldError] = []
    given: dict[str, Any] = {"name": form["name"]}
    for field, read in (("starts_at", start_from), ("ends_at", end_from)):
        given[field] = None
        if form[field]:
            try:
                given[field] = read(form[field])
            except Invalid as wrong:
                errors += wrong.errors
    funders = [funder for n in range(ROWS) if (funder := _funder(form, n, errors)) is not None]
    if "share_0" in form:  # where the shares stand, the form does not ask for them
        given["funders"] = tuple(funders)
    audience = {name: form.all(name) for name in ("kinds", "cities", "publishers")}
    for name, value, shape in (("name", given["name"], CampaignChange), *(
        (f"open_to.{name}", {name: value}, Audience) for name, value in audience.items())):  # fmt: skip
        try:
            checked({"name": value} if shape is CampaignChange else value, shape)
        except Invalid as wrong:
            errors += [FieldError(name, error.code) for error in wrong.errors]
    if errors:
        raise Invalid(*errors)
    return given | {
        "open_to": Audience(
            kinds=tuple(audience["kinds"]), cities=tuple(audience["cities"]),  # type: ignore[arg-type]
            publishers=tuple(UUID(one) for one in audience["publishers"]),
        )
    }  # fmt: skip


def _funder(form: Typed, n: int, errors: list[FieldError]) -> NewFunder | None:
    name, share = form[f"funder_{n}"], form[f"share_{n}"]
    if not name and not share:
        return None
    if not name:
        errors.append(FieldError(f"funder_{n}", "required"))
        return None
    try:
        share_bp = hundredths(share.removesuffix("%").rstrip(), field=f"share_{n}")
        if share_bp is None or not 1 <= share_bp <= WHOLE_BP:
            raise Invalid(FieldError(f"share_{n}", "required" if share_bp is None else "out_of_range"))
        kind = form[f"kind_{n}"] or "other"
        found = checked({"name": name, "kind": kind, "share_bp": share_bp}, NewFunder)
        assert isinstance(found, NewFunder)
        return found
    except Invalid as wrong:
        errors += [
            FieldError(error.field if error.field.startswith("share_") else f"funder_{n}", error.code)
            for error in wrong.errors
        ]
        return None


def fields_of(campaign: Campaign | None, form: Typed | None = None) -> dict[str, Any]:
    """What stands in the form: what was typed, or the campaign, or nothing."""
    if form is not None:
        rows = [
            {"name": form[f"funder_{n}"], "kind": form[f"kind_{n}"], "share": form[f"share_{n}"]}
            for n in range(ROWS)
        ]
        return {
            "name": form["name"], "starts_at": form["starts_at"], "ends_at": form["ends_at"],
            "funders": _padded([row for row in rows if row["name"] or row["share"]]),
            "kinds": form.all("kinds"), "cities": form.all("cities"), "publishers": form.all("publishers"),
        }  # fmt: skip
    if campaign is None:
        return {
            "name": "", "starts_at": "", "ends_at": "", "funders": _padded([]), "kinds": [], "cities": [],
            "publishers": [],
        }  # fmt: skip
    funders = [
        {"name": one.name, "kind": one.kind, "share": as_hundredths(one.share_bp)} for one in campaign.funders
    ]
    return {
        "name": campaign.name, "starts_at": start_typed(campaign.starts_at), "ends_at": end_typed(campaign.ends_at),
        "funders": _padded(funders), "kinds": list(campaign.open_to.kinds), "cities": list(campaign.open_to.cities),
        "publishers": [str(one) for one in campaign.open_to.publishers],
    }  # fmt: skip


def _padded(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """With a free row or more to fill in."""
    wanted = min(ROWS, max(_SHOWN_AT_FIRST, len(rows) + 1))
    return rows + [{"name": "", "kind": "city", "share": ""} for _ in range(wanted - len(rows))]


async def form_values(words: Words, wrong: Invalid | None) -> dict[str, Any]:
    """What there is to choose from, and what is wrong with what was typed."""
    return {
        "funder_kinds": [(kind, words(f"campaign.funder_kind.{kind}")) for kind in get_args(FunderKind)],
        "kinds": [(kind, words(f"publisher_kind.{kind}")) for kind in get_args(Kind)],
        "cities": [(city, words(f"city.{city}")) for city in CITIES],
        "publishers": [(str(one), name) for one, name in (await publisher_names()).items()],
        "errors": words.errors(wrong.errors) if wrong else {},
    }


def audience_words(words: Words, audience: Audience) -> str:
    """Whom a campaign is open to, in a few words."""
    comma = words("fact.comma")
    if audience.publishers:
        return words("campaign.open_to_named", publishers=len(audience.publishers))
    parts = [words(f"publisher_kind.{kind}") for kind in audience.kinds]
    parts += [words(f"city.{city}") for city in audience.cities]
    return comma.join(parts) or words("campaign.open_to_all")
