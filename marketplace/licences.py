"""Business licence numbers: unified social credit codes (统一社会信用代码, GB 32100) with their check digit."""

from __future__ import annotations

import unicodedata

from stdnum.cn import uscc
from stdnum.exceptions import ValidationError

from marketplace.errors import FieldError, Invalid


def licence_number(typed: str, *, field: str = "licence") -> str:
    """The number as it is kept, out of what was typed: spaces, dashes, case and full width do not matter.

    Raises Invalid when it is none, its check digit above all.
    """
    if not typed.strip():
        raise Invalid(FieldError(field, "required"))
    try:
        return uscc.validate(unicodedata.normalize("NFKC", typed))
    except ValidationError as error:
        raise Invalid(FieldError(field, "not_a_licence")) from error
