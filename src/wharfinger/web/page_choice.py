"""Whether a request is better answered with a page: a person is looking, or a robot only peeks.

A browser says so in `Accept`. The programs of chats that fetch an address to show a
preview of it often do not; they are known by their names. Neither can
hide the file: `?download=1`, which is what the page leads to, always means it.
"""

from __future__ import annotations

import re
from typing import Final

from wharfinger.web.requests import RequestHead

# What the choice depends on; every answer that could have been the other one says so.
VARY: Final = ("Vary", "Accept, User-Agent")

_HTML: Final = frozenset({"text/html", "application/xhtml+xml"})
# RFC 9110 section 12.4.2.
_QUALITY: Final = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_MAX_ACCEPT: Final = 2048
_PREVIEWS: Final = re.compile(
    r"facebookexternalhit|facebot|whatsapp|telegrambot|twitterbot|slackbot|slack-img"
    r"|discordbot|linkedinbot|mattermost|rocket\.chat|googlebot|bingbot|applebot"
    r"|embedly|iframely|preview",
    re.IGNORECASE,
)


def wants_page(head: RequestHead) -> bool:
    """Return whether a page suits this request better than a file or a problem document."""
    return prefers_html(", ".join(head.headers.get_all("Accept"))) or is_preview(
        ", ".join(head.headers.get_all("User-Agent"))
    )


def is_preview(user_agent: str) -> bool:
    """Return whether this is the name of a program that only previews addresses."""
    return _PREVIEWS.search(user_agent[:_MAX_ACCEPT]) is not None


def prefers_html(accept: str) -> bool:
    """Return whether an `Accept` line names HTML, and nothing with more weight than that.

    Wildcards alone are no wish for HTML: programs send them.
    """
    html = best = 0.0
    for entry in accept[:_MAX_ACCEPT].split(","):
        media_range, *parameters = (part.strip(" \t") for part in entry.split(";"))
        weight = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip().lower() == "q":
                weight = float(value) if _QUALITY.fullmatch(value.strip()) else 0.0
        best = max(best, weight)
        if media_range.lower() in _HTML:
            html = max(html, weight)
    return html > 0 and html >= best
