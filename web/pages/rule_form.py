"""The part of a form that says who may have an offer: rows for who writes no code, the text for who does.

The rows are fields `rule.N.fact`, `rule.N.op`, `rule.N.value`; what is to be done with them is `rule_do`. A form
without `rule_mode` has the text alone, as `eligibility`.
"""

from __future__ import annotations

from typing import NamedTuple

from incentives.rules import FACTS, FIELD, Asked, Fact, Facts, NotARule, Scalar, Unmet, checked_rule, rule_of
from incentives.rules.builder import MAX_ROWS, How, Row, Sheet, ops_of, sheet_of, text_of
from incentives.rules.facts import ROOTS
from marketplace.errors import FieldError, Invalid
from web.pages.forms import Typed, whole


class TypedRow(NamedTuple):
    """A row as it was typed."""

    fact: str
    op: str
    values: tuple[str, ...] = ()


class RuleDraft(NamedTuple):
    """What the form shows: rows or a text, and what is wrong with them. `tried` are the facts to try it with."""

    mode: str
    how: How = "all"
    rows: tuple[TypedRow, ...] = ()
    text: str = ""
    errors: tuple[FieldError, ...] = ()
    tried: Facts | None = None


# ---------------------------------------------------------------- in and out
def draft_of(text: str | None) -> RuleDraft:
    """The draft that shows a rule: in rows where they can, else as text."""
    if not text:
        return RuleDraft("rows")
    try:
        sheet = sheet_of(text)
    except NotARule:
        sheet = None
    if sheet is None:
        return RuleDraft("text", text=text)
    rows = tuple(TypedRow(row.fact, row.op, tuple(map(str, row.values))) for row in sheet.rows)
    return RuleDraft("rows", how=sheet.how, rows=rows, text=text)


def typed_draft(form: Typed) -> RuleDraft:
    """The draft as it was typed, after what was asked to be done with it."""
    draft = _typed(form)
    do, _, place = form["rule_do"].partition(".")
    match do:
        case "add" if form["rule_new"] in FACTS and len(draft.rows) < MAX_ROWS:
            fact = FACTS[form["rule_new"]]
            return draft._replace(rows=(*draft.rows, TypedRow(fact.name, ops_of(fact)[0])))
        case "remove" if place.isascii() and place.isdigit():
            return draft._replace(rows=tuple(row for n, row in enumerate(draft.rows) if n != int(place)))
        case "text":
            return _as_text(draft)
        case "rows":
            return _as_rows(draft)
        case "try":
            return _tried(draft, form)
    return draft


def rule_text(form: Typed) -> str | None:
    """The rule that the form asks for, None for everybody. Raises Invalid with each row, or the place, at fault."""
    return _text(_typed(form)) or None


def _typed(form: Typed) -> RuleDraft:
    rows: list[TypedRow] = []
    while len(rows) < MAX_ROWS and f"rule.{len(rows)}.fact" in form:
        at = f"rule.{len(rows)}"
        values = tuple(value.strip() for value in form.all(f"{at}.value"))
        rows.append(TypedRow(form[f"{at}.fact"], form[f"{at}.op"], values))
    return RuleDraft(
        mode="rows" if form["rule_mode"] == "rows" else "text",
        how="any" if form["rule_how"] == "any" else "all", rows=tuple(rows), text=form["eligibility"],
    )  # fmt: skip


def _text(draft: RuleDraft) -> str:
    if draft.mode == "rows":
        return text_of(Sheet(draft.how, _rows(draft)))
    if draft.text:
        checked_rule(draft.text)
    return draft.text


# ---------------------------------------------------------------- rows
def _rows(draft: RuleDraft) -> tuple[Row, ...]:
    errors: list[FieldError] = []
    rows = []
    for n, typed in enumerate(draft.rows):
        try:
            rows.append(_row(typed, field=f"rule.{n}"))
        except Invalid as invalid:
            errors += invalid.errors
    if errors:
        raise Invalid(*errors)
    if rows:
        checked_rule(text_of(Sheet(draft.how, tuple(rows))))  # it may have too many values
    return tuple(rows)


def _row(typed: TypedRow, *, field: str) -> Row:
    fact = FACTS.get(typed.fact)
    if fact is None or typed.op not in ops_of(fact):
        raise Invalid(FieldError(field, "unknown"))
    if fact.type == "bool":
        return Row(fact.name, typed.op)
    values = [value for value in typed.values if value]
    if not values:
        raise Invalid(FieldError(field, "required"))
    if typed.op not in ("one_of", "none_of"):
        values = values[:1]
    return Row(fact.name, typed.op, _values(fact, values, field=field))


def _values(fact: Fact, values: list[str], *, field: str) -> tuple[Scalar, ...]:
    if fact.choices:
        chosen = tuple(choice for choice in fact.choices if str(choice) in values)
        if len(chosen) != len(set(values)):
            raise Invalid(FieldError(field, "unknown"))
        return chosen
    if fact.type == "list":
        if any(character in values[0] for character in "\"'\\") or len(values[0]) > 40:
            raise Invalid(FieldError(field, "unknown"))
        return (values[0],)
    amount = whole(values[0], field=field)
    assert amount is not None
    return (amount,)


# ---------------------------------------------------------------- what can be done with it
def _as_text(draft: RuleDraft) -> RuleDraft:
    try:
        return draft._replace(mode="text", text=_text(draft))
    except Invalid as wrong:
        return draft._replace(errors=wrong.errors)


def _as_rows(draft: RuleDraft) -> RuleDraft:
    errors = _errors(draft)
    shown = draft if errors else draft_of(draft.text)
    if errors or shown.mode == "rows":
        return shown._replace(errors=errors)
    return draft._replace(errors=(FieldError(FIELD, "rule_not_in_rows"),))


def _errors(draft: RuleDraft) -> tuple[FieldError, ...]:
    try:
        _text(draft)
    except Invalid as wrong:
        return wrong.errors
    return ()


def _tried(draft: RuleDraft, form: Typed) -> RuleDraft:
    errors = list(_errors(draft))
    tried: dict[str, dict[str, object]] = {root: {} for root in ROOTS}
    for name in facts_in(draft):
        root, _, rest = name.partition(".")
        try:
            tried[root][rest] = _fact(FACTS[name], form[f"try.{name}"], field=f"try.{name}")
        except Invalid as invalid:
            errors += invalid.errors
    return draft._replace(errors=tuple(errors), tried=None if errors else tried)


def facts_in(draft: RuleDraft) -> tuple[str, ...]:
    """The facts that the draft asks for, in the order of the table."""
    if draft.mode == "rows":
        asked = {row.fact for row in draft.rows}
    else:
        asked = set() if not draft.text or _errors(draft) else set(rule_of(draft.text).names)
    return tuple(name for name in FACTS if name in asked)


def unmet_of(draft: RuleDraft) -> list[Unmet] | None:
    """What a draft says is not met by the facts it was tried with; None where it was not tried."""
    if draft.tried is None:
        return None
    text = _text(draft)
    return rule_of(text).unmet(Asked(draft.tried)) if text else []


def _fact(fact: Fact, typed: str, *, field: str) -> object:
    if fact.type == "bool":
        return typed == "true"
    if fact.type == "list":
        return [typed] if typed else []
    if fact.choices:
        return next((choice for choice in fact.choices if str(choice) == typed), "")
    return whole(typed, field=field) or 0
