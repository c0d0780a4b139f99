"""The words and signs of a rule's text, and what can be wrong with it: a code, a place, the offending word."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

MAX_CHARACTERS: Final = 1_000
_LONGEST_INT: Final = 19  # digits of 2^63
_LONGEST_WORD_SHOWN: Final = 40

_TOKEN: Final = re.compile(
    r"""(?P<space>[ \t\r\n]+)
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<number>(?:0[xX][0-9A-Fa-f]+|[0-9]+)(?P<more>\.[0-9]+|[A-Za-z_][A-Za-z0-9_]*)?)
      | (?P<string>"[^"\\\x00-\x1f\x7f\ud800-\udfff]*"|'[^'\\\x00-\x1f\x7f\ud800-\udfff]*')
      | (?P<sign>&&|\|\||[=!<>]=|[<>!?:()\[\],.+*/%-])""",
    re.VERBOSE,
)


class NotARule(Exception):
    """The text is no rule: why, where in the text (from 0), and the word that is in the way."""

    def __init__(self, code: str, at: int, word: str = "") -> None:
        super().__init__(code, at, word)
        self.code = code
        self.at = at
        self.word = word[:_LONGEST_WORD_SHOWN].encode(errors="replace").decode()


class Token(NamedTuple):
    """A word of the text; `end` is after the last one."""

    kind: Literal["name", "int", "string", "sign", "end"]
    text: str
    at: int
    value: int | str = 0


def tokens_of(text: str) -> list[Token]:
    """The tokens of `text`, with an `end`. Raises NotARule."""
    if len(text) > MAX_CHARACTERS:
        raise NotARule("rule_too_long", MAX_CHARACTERS, str(MAX_CHARACTERS))
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _strange(text, at)
        if match.lastgroup != "space":
            found.append(_token(match))
        at = match.end()
    return [*found, Token("end", "", len(text.rstrip()))]


def _token(match: re.Match[str]) -> Token:
    word, at = match[0], match.start()
    if match["name"]:
        return Token("name", word, at)
    if match["string"]:
        return Token("string", word, at, word[1:-1])
    if match["sign"]:
        return Token("sign", word, at)
    if match["more"]:
        raise NotARule("rule_number", at, word)
    if len(word.lstrip("0xX")) > _LONGEST_INT:
        raise NotARule("rule_number_too_large", at, word)
    return Token("int", word, at, int(word, 16 if word[1:2] in ("x", "X") else 10))


def _strange(text: str, at: int) -> NotARule:
    if text[at] in "\"'":
        return NotARule("rule_string", at, text[at:])
    return NotARule("rule_character", at, text[at])


__all__ = ["MAX_CHARACTERS", "NotARule", "Token", "tokens_of"]
