"""The pages that people see at the address of a link: the file that waits there, or why none does.

`page` makes one; those of upload links are in `upload_page`. They work without scripts and load nothing. What they show of a file is its label: escaped,
cleaned for display and isolated, so that no name can reach out of its place.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from html import escape
from typing import Final

from wharfinger.names import show
from wharfinger.service import Link, StoredFile
from wharfinger.units import show_size
from wharfinger.web.answers import Answer, HeaderPairs
from wharfinger.web.delivering import INLINE_TYPES
from wharfinger.web.page_choice import VARY

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5a6675; --line: #d9dfe6; --paper: #fff;
  --ground: #f3f5f8; --act: #0b5c8a; --on-act: #fff }
@media (prefers-color-scheme: dark) { :root { --ink: #e8edf3; --soft: #a3afbd; --line: #344050;
  --paper: #1b232d; --ground: #11171e; --act: #6cc0ee; --on-act: #08202e } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.25rem;
  background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif }
main { width: 100%; max-width: 30rem; padding: 2rem; background: var(--paper);
  border: 1px solid var(--line); border-radius: .75rem }
h1 { margin: 0 0 1.25rem; font-size: 1.3rem; line-height: 1.35; overflow-wrap: anywhere }
p { margin: 0; color: var(--soft) }
dl { display: grid; grid-template-columns: auto 1fr; gap: .25rem 1.5rem; margin: 0 0 1.75rem }
dt { color: var(--soft) }
dd { margin: 0; overflow-wrap: anywhere }
button { width: 100%; padding: .75rem 1.25rem; border: 0; border-radius: .5rem; cursor: pointer;
  font: inherit; font-weight: 600; background: var(--act); color: var(--on-act) }
label { display: block; margin: 0 0 .5rem; font-weight: 600 }
input { width: 100%; margin: 0 0 1.25rem; padding: .75rem; border: 1px dashed var(--line);
  border-radius: .5rem; font: inherit; color: var(--soft) }
input:focus-visible { outline: 3px solid var(--act); outline-offset: 3px }
ul { margin: 0 0 1.5rem; padding: 0; list-style: none }
li { padding: .75rem 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere }
li span { color: var(--soft) }
code { display: block; margin-top: .25rem; font-size: .75rem; color: var(--soft) }
p + p { margin-top: 1rem }
a { color: var(--act) }
button:hover { filter: brightness(1.1) }
button:focus-visible { outline: 3px solid var(--act); outline-offset: 3px }
@media (max-width: 26rem) { main { padding: 1.25rem } }
"""

_STYLE_DIGEST: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
# What is shared by a link is not for search engines, wherever somebody puts the address.
NO_ROBOTS: Final = ("X-Robots-Tag", "noindex, nofollow")
# Nothing runs and nothing is fetched; the one form may go where it came from.
_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_DIGEST}'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final[HeaderPairs] = (
    ("Content-Type", "text/html; charset=utf-8"),
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", _POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    NO_ROBOTS,
    VARY,
)


def file_page(link: Link, stored: StoredFile, *, method: str) -> Answer:
    """Return the page that shows what a link leads to, with a button that gets it."""
    name = label(link.download_name or stored.name)
    facts = [
        ("Size", show_size(stored.size)),
        ("Type", escape(stored.type)),
        ("Until", moment(link.expires_at)),
    ]
    if link.max_downloads is not None:
        left = link.max_downloads - link.downloads
        facts.append(("Downloads left", f"{left} of {link.max_downloads}"))
    rows = "".join(f"<dt>{term}</dt><dd>{value}</dd>" for term, value in facts)
    verb = "Open" if link.disposition == "inline" and stored.type in INLINE_TYPES else "Download"
    # A form and no link: robots follow links.
    body = (
        f"<h1><bdi>{name}</bdi></h1><dl>{rows}</dl>"
        '<form method="get"><button name="download" value="1">'
        f"{verb}</button></form>"
    )
    return page(200, name, body, (), method)


def error_page(
    status: int, title: str, text: str, *, headers: HeaderPairs = (), method: str
) -> Answer:
    """Return a page for an error; `headers` are those that belong to this kind of error."""
    body = f"<h1>{escape(title)}</h1><p>{escape(text)}</p>"
    return page(status, escape(title), body, headers, method)


def page(status: int, title: str, body: str, headers: HeaderPairs, method: str) -> Answer:
    """Return a page; `title` and `body` are HTML, whatever is in them from outside escaped."""
    document = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    ).encode()
    return Answer(
        status=status,
        headers=(*_HEADERS, ("Content-Length", str(len(document))), *headers),
        body=b"" if method == "HEAD" else document,
    )


def label(name: str) -> str:
    """Return a name from outside as it can stand in HTML."""
    return escape(show(name, limit=255))


def moment(when: datetime) -> str:
    """Return a moment as HTML, in UTC."""
    utc = when.astimezone(UTC)
    return f'<time datetime="{utc:%Y-%m-%dT%H:%MZ}">{utc:%Y-%m-%d %H:%M} UTC</time>'
