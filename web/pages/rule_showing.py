"""The draft of a rule as a template shows it: every row with its own kind of field, the text, and how a try went."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from incentives.eligibility import reason
from incentives.rules import FACTS, FIELD, Fact
from incentives.rules.builder import MAX_ROWS, ops_of
from incentives.rules.facts import value_of
from marketplace.errors import FieldError
from web.pages.rendering import Words
from web.pages.rule_form import RuleDraft, TypedRow, facts_in, unmet_of
from web.reasons import fact_name, sentence, value_words


def rule_shown(
    words: Words, draft: RuleDraft, *, programmes: Mapping[str, str], wrong: tuple[FieldError, ...] = ()
) -> dict[str, Any]:
    """What `publisher/rule.html` shows. `programmes` are their names by key, `wrong` errors of the whole form."""
    errors = words.errors((*wrong, *draft.errors))
    return {
        "mode": draft.mode,
        "how": draft.how,
        "rows": [_row(words, n, row, programmes, errors) for n, row in enumerate(draft.rows)],
        "text": draft.text,
        "error": errors.get(FIELD, ""),
        "facts": [
            (fact.name, fact_name(words.language, fact.name))
            for fact in FACTS.values()
            if fact.type != "list" or programmes
        ],
        "table": [(name, words(f"rule.{name}")) for name in FACTS],
        "full": len(draft.rows) >= MAX_ROWS,
        "open": bool(draft.rows or draft.text or draft.errors or errors.get(FIELD)),
        "tries": [_try(words, FACTS[name], draft, programmes, errors) for name in facts_in(draft)],
        "answer": _answer(words, draft, programmes),
    }


def _row(
    words: Words, n: int, row: TypedRow, programmes: Mapping[str, str], errors: Mapping[str, str]
) -> dict[str, Any]:
    fact = FACTS.get(row.fact)
    if fact is None:
        return {"at": f"rule.{n}", "fact": "", "name": row.fact, "ops": [], "field": "none", "options": [],
                "values": [], "op": "", "unit": "", "error": errors.get(f"rule.{n}", "")}  # fmt: skip
    among = "one_of" in ops_of(fact)
    return {
        "at": f"rule.{n}",
        "fact": fact.name,
        "name": fact_name(words.language, fact.name),
        "op": row.op,
        "ops": [(op, words(f"rule_op.{fact.name}.{op}" if fact.name == "now.hour" else f"rule_op.{op}"))
                for op in ops_of(fact)],
        "field": _field(fact, among=among),
        "options": _options(words, fact, programmes, row.values),
        "values": row.values,
        "unit": words("grams") if fact.unit == "g" else "",
        "error": errors.get(f"rule.{n}", ""),
    }  # fmt: skip


def _field(fact: Fact, *, among: bool) -> str:
    if fact.type == "bool":
        return "none"
    if fact.choices:
        return "chips" if among else "select"
    return "select" if fact.type == "list" else "number"


def _options(
    words: Words, fact: Fact, programmes: Mapping[str, str], chosen: tuple[str, ...]
) -> list[tuple[str, str]]:
    if fact.type == "list":
        return [*programmes.items(), *((key, key) for key in chosen if key and key not in programmes)]
    return [(str(choice), value_words(words.language, fact.name, choice)) for choice in fact.choices]


def _try(
    words: Words, fact: Fact, draft: RuleDraft, programmes: Mapping[str, str], errors: Mapping[str, str]
) -> dict[str, Any]:
    at = f"try.{fact.name}"
    value = value_of(draft.tried or {}, fact.name)
    options = _options(words, fact, programmes, ())
    if fact.type == "bool":
        options = [(answer, words(f"rule_value.{answer}")) for answer in ("true", "false")]
        value = "false" if value is False else "true"
    elif fact.type == "list":
        options = [("", words("rule_try.none")), *options]
        value = value[0] if isinstance(value, list) and value else ""
    elif fact.name == "resident.age_band":
        options = [("", words("rule_value.unknown")), *options]
    return {
        "at": at,
        "name": fact_name(words.language, fact.name),
        "options": options,
        "value": "" if value is None else str(value),
        "unit": words("grams") if fact.unit == "g" else "",
        "error": errors.get(at, ""),
    }


def _answer(words: Words, draft: RuleDraft, programmes: Mapping[str, str]) -> dict[str, Any] | None:
    unmet = unmet_of(draft)
    if unmet is None:
        return None
    return {
        "holds": not unmet,
        "reasons": [sentence(words.language, reason(one, programmes)) for one in unmet],
    }
