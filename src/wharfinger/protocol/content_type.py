"""Content-Type as a value (RFC 9110 section 8.3): strict, in linear time."""

from __future__ import annotations

import re
from typing import Final

from wharfinger.errors import RequestError
from wharfinger.names import show
from wharfinger.protocol.parameters import TOKEN, parse_parameters

__all__ = ["essence", "parse_content_type"]

_MEDIA_TYPE: Final = re.compile(rf"{TOKEN}/{TOKEN}")


def parse_content_type(value: str) -> tuple[str, dict[str, str]]:
    """Return the media type in lower case and its parameters, their names in lower case.

    Raises:
        RequestError: the value breaks the grammar, or a parameter came twice.
    """
    text = value.strip(" \t")
    match = _MEDIA_TYPE.match(text)
    parameters = None if match is None else parse_parameters(text[match.end() :])
    if match is None or parameters is None:
        raise RequestError(f"The Content-Type {show(value, limit=60)!r} is malformed.")
    return match[0].lower(), parameters


def essence(value: str | None) -> str:
    """Return the bare media type in lower case, or "" when there is none or it is malformed."""
    if value is None:
        return ""
    try:
        return parse_content_type(value)[0]
    except RequestError:
        return ""
