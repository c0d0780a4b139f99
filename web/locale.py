"""In whose words: the caller's language, and the texts of `locales/` in it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from string import Formatter
from typing import Any, Final, Literal, get_args

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from marketplace import clock

Language = Literal["zh-CN", "en"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
DEFAULT: Final[Language] = "zh-CN"
_LONGEST_HEADER: Final = 1024


def preferred_language(accept_language: str | None) -> Language:
    """The language that an `Accept-Language` header (RFC 9110, 12.5.4) likes best; Chinese if it says nothing."""
    best: tuple[float, Language] = (0.0, DEFAULT)
    for part in (accept_language or "")[:_LONGEST_HEADER].split(","):
        tag, _, parameter = part.strip().partition(";")
        language = _known(tag.strip().lower())
        quality = _quality(parameter.strip())
        if language is not None and quality > best[0]:
            best = (quality, language)
    return best[1]


def _known(tag: str) -> Language | None:
    primary = tag.split("-", 1)[0]
    if primary == "zh" or tag == "*":
        return "zh-CN"
    return "en" if primary == "en" else None


def _quality(parameter: str) -> float:
    if not parameter.startswith("q="):
        return 1.0
    try:
        return min(1.0, max(0.0, float(parameter[2:])))
    except ValueError:
        return 0.0


@cache
def catalogue(language: Language) -> GNUTranslations:
    """The gettext catalogue of `language`: its message ids are keys, so that no language is the other's source."""
    compiled = BytesIO()
    with _source(language).open("rb") as file:
        write_mo(compiled, read_po(file))
    compiled.seek(0)
    loaded = GNUTranslations(compiled)
    loaded.add_fallback(_Nothing())
    return loaded


def _source(language: Language) -> Path:
    return Path(__file__).parent / "locales" / language.replace("-", "_") / "LC_MESSAGES" / "chutan.po"


def keys() -> list[str]:
    """The keys of all texts."""
    with _source(DEFAULT).open("rb") as file:
        return [str(message.id) for message in read_po(file) if isinstance(message.id, str) and message.id]


class _Nothing(NullTranslations):
    """What gettext falls back to: an empty text tells that there is none."""

    def gettext(self, message: str) -> str:
        return ""

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return ""


def text(language: Language, key: str, facts: Mapping[str, Any] | None = None) -> str | None:
    """The text of `key` with `facts` in its places; None when there is no such text or a fact is missing.

    A text with plural forms is chosen by the first of its facts that is a whole number.
    """
    counts = (fact for fact in (facts or {}).values() if isinstance(fact, int))
    template = catalogue(language).ngettext(key, key, next(counts, 1)) or catalogue(language).gettext(key)
    if not template:
        return None
    if facts is None:
        return template
    wanted = {name for _, name, _, _ in Formatter().parse(template) if name}
    if any(facts.get(name) is None for name in wanted):
        return None
    return template.format_map({name: worded(name, facts[name]) for name in wanted})


def worded(name: str, value: Any) -> str:
    """A fact for people, by the unit that its name ends in: fen as yuan, instants as Shanghai's time."""
    match value:
        case bool():
            return str(value)
        case int() if name.endswith("_fen"):
            return f"¥{value // 100}.{value % 100:02d}"
        case int() if name.endswith("_g"):
            return f"{value:,} g"
        case int():
            return f"{value:,}"
        case datetime():
            return value.astimezone(clock.SHANGHAI).strftime("%Y-%m-%d %H:%M")
        case list():
            return "、".join(map(str, value))
        case str() if name.endswith("_at"):
            return worded(name, datetime.fromisoformat(value))
    return str(value)


__all__ = ["DEFAULT", "LANGUAGES", "Language", "catalogue", "keys", "preferred_language", "text", "worded"]
