"""What an offer gives, by kind. Inside, a benefit carries its kind as a tag; outside, the offer's `kind` says it."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import Meta

from marketplace.errors import FieldError, Invalid

Kind = Literal["cash_coupon", "discount", "gift", "ticket", "transit", "code", "rate_perk", "donation"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

MAX_FEN: Final = 100_000_000
MAX_BP: Final = 10_000

# No control characters and nothing that turns the direction of what follows; at least one visible character.
LINE: Final = (
    r"^(?![\s\S]*[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff])[\s\S]*[^\s\u200b-\u200d\u2060]"
)

Fen = Annotated[int, Meta(ge=0, le=MAX_FEN)]
SomeFen = Annotated[int, Meta(ge=1, le=MAX_FEN)]
Bp = Annotated[int, Meta(ge=1, le=MAX_BP)]
Words = Annotated[str, Meta(max_length=100, pattern=LINE)]


class CashCoupon(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="cash_coupon"
):
    """`amount_fen` off the bill."""

    amount_fen: SomeFen


class Discount(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="kind",
    tag="discount",
):
    """`off_bp` of the bill off, up to `cap_fen`."""

    off_bp: Bp
    cap_fen: SomeFen | None = None


class Gift(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="gift"):
    """An item, worth `value_fen`."""

    item: Words
    value_fen: Fen


class Ticket(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="ticket"):
    """Admission for `admits` persons, worth `value_fen` in all."""

    admits: Annotated[int, Meta(ge=1, le=100)]
    value_fen: Fen


class Transit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="transit"):
    """`amount_fen` off a fare."""

    amount_fen: SomeFen


class Code(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="code"):
    """A code of a third party from an uploaded pool, worth `value_fen`."""

    value_fen: Fen


class RatePerk(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="kind",
    tag="rate_perk",
):
    """Better conditions for a bank's product: exactly one of a rate cut, a voucher, a higher line."""

    product: Words
    off_bp: Bp | None = None
    voucher_fen: SomeFen | None = None
    line_uplift_bp: Bp | None = None
    term_months: Annotated[int, Meta(ge=1, le=360)] | None = None

    def __post_init__(self) -> None:
        given = [perk for perk in (self.off_bp, self.voucher_fen, self.line_uplift_bp) if perk is not None]
        if len(given) != 1:
            raise ValueError("exactly_one_perk")


class Donation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="donation"):
    """`value_fen` given to a cause in the resident's name."""

    cause: Words
    value_fen: Fen


Benefit = CashCoupon | Discount | Gift | Ticket | Transit | Code | RatePerk | Donation


def benefit_from(given: dict[str, Any], *, kind: Kind) -> Benefit:
    """The benefit of an offer of `kind` that `given` says. Raises Invalid naming the field below `benefit`."""
    if "kind" in given:
        raise Invalid(FieldError("benefit.kind", "unknown_field"))
    benefit: Benefit = checked({**given, "kind": kind}, Benefit, under="benefit")
    return benefit


def check_part(value: Any, *, kind: Kind, name: str) -> None:
    """Judge one field of a benefit by itself. Raises Invalid naming it below `benefit`."""
    of_kind = next(one for one in get_args(Benefit) if one.__struct_config__.tag == kind)
    field = next(field for field in msgspec.structs.fields(of_kind) if field.name == name)
    checked(value, field.type, under=f"benefit.{name}")


def benefit_shown(benefit: Benefit) -> dict[str, Any]:
    """The benefit as the API shows it: without the kind, which stands beside it."""
    shown: dict[str, Any] = msgspec.to_builtins(benefit)
    return {name: value for name, value in shown.items() if name != "kind"}


def checked(given: Any, as_type: Any, *, under: str = "") -> Any:
    """`given` (dicts, lists and scalars) as a value of `as_type`. Raises Invalid with the field that is wrong."""
    try:
        return msgspec.convert(given, as_type)
    except msgspec.ValidationError as error:
        raise Invalid(field_error(error, under=under)) from error


def field_error(error: msgspec.ValidationError, *, under: str = "") -> FieldError:
    """What msgspec found wrong, as a field's path and a stable code."""
    message, _, place = str(error).partition(" - at `")
    path = [under] if under else []
    path += [
        part for part in place.rstrip("`").replace("[", ".").replace("]", "").lstrip("$").split(".") if part
    ]
    if "field `" in message:
        path.append(message.split("`")[1])
    return FieldError(".".join(path), _code_of(message))


def _code_of(message: str) -> str:
    if message.startswith("Object missing"):
        return "required"
    if message.startswith("Object contains unknown"):
        return "unknown_field"
    if "of length" in message or "matching regex" in message:
        return "invalid"
    if ">=" in message or "<=" in message:
        return "out_of_range"
    if message.replace("_", "").isalpha() and message.islower():
        return message  # one of ours, from a __post_init__
    return "invalid"
