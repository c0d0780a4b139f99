"""The form in which a publisher tells of itself: filled in to apply, and again to mend what was sent back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args

from marketplace.cities import CITIES
from marketplace.errors import Invalid
from marketplace.publishers import Kind
from merchants.applications import Application
from merchants.onboarding import Told
from web.pages.forms import Typed
from web.pages.rendering import Words

# The fields of the form, and what each is called where it is kept.
FIELDS: Final = {
    "licence": "licence", "name": "name", "kind": "kind", "city": "city", "contact_name": "contact_name",
    "store.name": "store_name", "store.address": "store_address",
}  # fmt: skip


def told(form: Typed) -> Told:
    """What was typed."""
    return Told(**{kept: form[field] for field, kept in FIELDS.items()})


def fields_of(application: Application) -> dict[str, str]:
    """What was sent, to be mended."""
    return {field: getattr(application, kept) for field, kept in FIELDS.items()}


def form_values(words: Words, fields: Mapping[str, str], wrong: Invalid | None = None) -> dict[str, Any]:
    """What the form shows: what stands in it, what is wrong with that, and what there is to choose from."""
    return {
        "fields": {field: fields.get(field, "") for field in FIELDS},
        "errors": words.errors(wrong.errors) if wrong else {},
        "kinds": [
            ("", words("apply.choose")),
            *((kind, words(f"publisher_kind.{kind}")) for kind in get_args(Kind)),
        ],
        "cities": [("", words("apply.choose")), *((city, words(f"city.{city}")) for city in CITIES)],
        "refused": words("form.errors") if wrong else None,
    }


def facts_of(words: Words, application: Application) -> list[tuple[str, str]]:
    """An application for reading."""
    return [
        (words("apply.licence"), application.licence),
        (words("apply.kind"), words(f"publisher_kind.{application.kind}")),
        (words("apply.city"), words(f"city.{application.city}")),
        (words("apply.contact_name"), application.contact_name),
        (words("apply.phone"), application.contact_phone),
        (words("apply.first_store"), f"{application.store_name}，{application.store_address}"),
    ]
