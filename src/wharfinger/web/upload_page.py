"""The pages at the address of an upload link: the form, and the receipt for what was sent.

They work without scripts and load nothing. The form says the limits before somebody picks
a file; the receipt says what arrived, and nothing of where it lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from wharfinger.policy import PRESETS, Policy
from wharfinger.service import StoredFile, UploadLink
from wharfinger.units import show_size
from wharfinger.web.answers import Answer
from wharfinger.web.page import label, moment, page

# A longer list of types helps nobody; the form's `accept` still has them all.
_MAX_SHOWN: int = 8


def upload_page(link: UploadLink, policy: Policy, *, method: str) -> Answer:
    """Return the page with the form; `policy` is what the link permits now."""
    facts = [("Largest file", show_size(policy.max_size)), ("Types", _types(policy.types))]
    if link.bytes_left is not None:
        facts.append(("Room left", show_size(link.bytes_left)))
    if link.files_left is not None:
        facts.append(("Files left", f"{link.files_left} of {link.max_files}"))
    facts.append(("Until", moment(link.expires_at)))
    rows = "".join(f"<dt>{term}</dt><dd>{value}</dd>" for term, value in facts)
    many = link.files_left is None or link.files_left > 1
    accept = f' accept="{escape(",".join(sorted(policy.types)))}"' if policy.types else ""
    noun = "Files" if many else "File"
    body = (
        f"<h1>Send {noun.lower() if many else 'a file'}</h1><dl>{rows}</dl>"
        '<form method="post" enctype="multipart/form-data">'
        f'<label for="file">{noun} to send</label>'
        f'<input id="file" type="file" name="file" required{" multiple" if many else ""}{accept}>'
        "<button>Send</button></form>"
    )
    return page(200, f"Send {noun.lower()}", body, (), method)


def receipt_page(status: int, files: Sequence[StoredFile], *, more: bool) -> Answer:
    """Return the page that says what arrived; `more` tells whether the link takes more."""
    count = "1 file" if len(files) == 1 else f"{len(files)} files"
    items = "".join(
        f"<li><bdi>{label(stored.name)}</bdi> <span>{show_size(stored.size)}</span>"
        f"<code>SHA-256 {stored.sha256}</code></li>"
        for stored in files
    )
    again = '<p><a href="">Send more</a></p>' if more else "<p>The link is used up.</p>"
    body = f"<h1>{count} received</h1><ul>{items}</ul>{again}"
    return page(status, f"{count} received", body, (), "POST")


def refusal_page(
    status: int, title: str, text: str, headers: tuple[tuple[str, str], ...]
) -> Answer:
    """Return the page that says why what was sent was not kept, and leads back to the form."""
    body = (
        f"<h1>{escape(title)}</h1><p>{escape(text)}</p><p>Nothing was kept.</p>"
        '<p><a href="">Back to the form</a></p>'
    )
    return page(status, escape(title), body, headers, "POST")


def _types(types: frozenset[str] | None) -> str:
    if types is None:
        return "any"
    for name, preset in PRESETS.items():
        if preset is not None and types == frozenset(preset):
            return name
    shown = [escape(one) for one in sorted(types)]
    more = len(shown) - _MAX_SHOWN
    return ", ".join(shown[:_MAX_SHOWN]) + (f" and {more} more" if more > 0 else "")
