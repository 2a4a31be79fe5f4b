"""Markup and scripts: what a browser, a shell or a server would run, told by how it begins.

The rules for HTML are those of the WHATWG MIME Sniffing Standard (section 7.1), used as
a negative test: "would anything take this for HTML?". They look past white space, byte
order marks (removed before) and comments.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

__all__ = ["Lead", "inner_active", "leading_markup"]


class Lead(NamedTuple):
    """What a text begins as. `loose` is HTML that Markdown may begin with too."""

    type: str
    loose: bool = False


_BLANKS: Final = b"\t\n\x0b\x0c\r "
# WHATWG MIME Sniffing section 7.1, the tags of the table (2024).
_HTML_TAGS: Final = frozenset(
    {b"html", b"head", b"script", b"iframe", b"h1", b"div", b"font", b"table", b"a", b"style"}
    | {b"title", b"b", b"body", b"br", b"p"}
)
# CommonMark 4.6 lets a document begin with HTML; these are the beginnings people write.
_LOOSE_TAGS: Final = frozenset({b"h1", b"div", b"font", b"table", b"a", b"b", b"br", b"p"})
# What else is HTML and not XML when only a comment stands before it.
_MORE_HTML_TAGS: Final = frozenset(
    {b"img", b"span", b"h2", b"h3", b"h4", b"ul", b"ol", b"center", b"form", b"input", b"meta"}
    | {b"link", b"object", b"embed", b"video", b"audio", b"base", b"picture", b"details", b"button"}
    | {b"template", b"section", b"main", b"nav", b"header", b"footer", b"article", b"noscript"}
    | {b"strong", b"em", b"i", b"u", b"pre", b"blockquote", b"hr", b"frameset", b"applet", b"math"}
)
_TAG: Final = re.compile(rb"<(?:[a-z_][\w.-]*:)?([a-z_][\w.-]*)(?=[\s/>]|\Z)", re.IGNORECASE)
_DOCTYPE: Final = re.compile(rb"<!doctype\s+([^\s>\[]+)", re.IGNORECASE)
_SUBSET_END: Final = re.compile(rb"\]\s*>")

_HTML: Final = Lead("text/html")
_LOOSE_HTML: Final = Lead("text/html", loose=True)
_XHTML: Final = Lead("application/xhtml+xml")
_SVG: Final = Lead("image/svg+xml")
_XML: Final = Lead("application/xml")

# execve(2): "#!" and the interpreter's path. Names without their version digits.
_INTERPRETERS: Final[dict[bytes, str]] = {
    **dict.fromkeys((b"python", b"pypy", b"uv"), "text/x-python"),
    **dict.fromkeys(
        (b"sh", b"bash", b"dash", b"ash", b"zsh", b"ksh", b"fish", b"busybox"), "application/x-sh"
    ),
    b"perl": "text/x-perl",
    b"ruby": "text/x-ruby",
    **dict.fromkeys((b"node", b"nodejs", b"deno", b"bun"), "text/javascript"),
    b"ts-node": "text/x-typescript",
    b"php": "application/x-httpd-php",
    b"pwsh": "application/x-powershell",
}
# An absolute path, or "python" alone as wheels have it. Rust's "#![attribute]" is neither.
_SHEBANG: Final = re.compile(rb"#![ \t]*(/[^\s]*|python[w\d.]*)(?:[ \t]+([^\r\n]*))?")

# Beginnings that are certain: no prose starts like this. Compared in lower case.
_BEGINNINGS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"<?php", "application/x-httpd-php"),  # PHP manual, "PHP tags"
    (b"<?=", "application/x-httpd-php"),
    (b"<%", "text/x-server-page"),  # ASP.NET and Jakarta Pages directives and scriptlets
    (b"@echo off", "application/x-bat"),
    (b"[internetshortcut]", "application/internet-shortcut"),
    (b"[desktop entry]", "application/x-desktop"),  # freedesktop.org desktop entry 1.5
)
_VBSCRIPT: Final = re.compile(
    rb"(?:'[^\n]*\n\s*|rem [^\n]*\n\s*)*"
    rb"(?:option explicit|on error resume next|dim \w+|set \w+\s*=\s*(?:wscript\.)?createobject\s*\()"
)
_JSCRIPT: Final = re.compile(
    rb"(?:var\s+\w+\s*=\s*)?(?:new\s+activexobject\s*\(|wscript\.(?:createobject|echo|shell)\b)"
)


def leading_markup(probe: bytes) -> Lead | None:
    """Return the markup or script that a text begins as, or None for neither.

    Args:
        probe: the head as UTF-8 without a byte order mark. It need not be valid.
    """
    if probe.startswith(b"#!"):
        return _script(probe)
    text = probe.lstrip(_BLANKS)
    first = text[:1]
    if first == b"<":
        return _beginning(text) or _markup(text)
    if first and first in b"@[":
        return _beginning(text)
    if first and first in b"'oOdDsSrRvVnNwW":
        return _windows_script(text[:1024].lower())
    return None


def inner_active(lower: bytes) -> str:
    """Return the media type of active content that stands further inside, or "".

    Args:
        lower: the head in lower case.
    """
    if b"<?php" in lower:
        return "application/x-httpd-php"
    for tag in (b"<script", b"<html"):
        at = lower.find(tag)
        while at >= 0:
            if lower[at + len(tag) : at + len(tag) + 1] in b"\t\n\x0c\r />":
                return "text/html"
            at = lower.find(tag, at + 1)
    return ""


def _script(probe: bytes) -> Lead | None:
    match = _SHEBANG.match(probe)
    if match is None:
        return None
    name = match[1].rpartition(b"/")[2]
    if name == b"env":
        # env -S, env NAME=value: the first word that is neither option nor assignment.
        words = (match[2] or b"").split()
        named = [word for word in words if word[:1] != b"-" and b"=" not in word]
        name = named[0].rpartition(b"/")[2] if named else b""
    return Lead(_INTERPRETERS.get(name.rstrip(b"0123456789.w") or name, "text/x-script"))


def _beginning(text: bytes) -> Lead | None:
    start = text[:24].lower()
    for prefix, media_type in _BEGINNINGS:
        if start.startswith(prefix):
            return Lead(media_type)
    return None


def _windows_script(lower: bytes) -> Lead | None:
    if _VBSCRIPT.match(lower) and b"createobject(" in lower:
        return Lead("text/vbscript")
    return Lead("text/javascript") if _JSCRIPT.match(lower) else None


def _markup(text: bytes) -> Lead | None:
    prolog = text[:5].lower() == b"<?xml" and text[5:6] in b"\t\n\r ?"
    doctype = b""
    comment = False
    at = 0
    while True:
        while text[at : at + 1] and text[at : at + 1] in _BLANKS:
            at += 1
        if text.startswith(b"<!--", at):
            comment = True
            at = _after(text, b"-->", at + 4)
        elif text.startswith(b"<?", at) and prolog:
            at = _after(text, b"?>", at)
        elif match := _DOCTYPE.match(text, at):
            doctype = match[1].lower()
            if doctype == b"html":
                return _XHTML if prolog else _HTML
            at = _after_doctype(text, match.end())
        else:
            break
    return _root(text, at, doctype, prolog=prolog, comment=comment)


def _root(text: bytes, at: int, doctype: bytes, *, prolog: bool, comment: bool) -> Lead | None:
    match = _TAG.match(text, at)
    name = match[1].lower() if match else b""
    if b"svg" in (name, doctype):
        return _SVG
    if prolog or doctype:
        return _XHTML if name == b"html" else _XML
    if name in _HTML_TAGS:
        return _LOOSE_HTML if name in _LOOSE_TAGS else _HTML
    if comment and name and name not in _MORE_HTML_TAGS:
        return _XML
    # WHATWG: a text that begins with a comment is HTML. Many a README does.
    return _LOOSE_HTML if comment else None


def _after(text: bytes, end: bytes, at: int) -> int:
    found = text.find(end, at)
    return found + len(end) if found >= 0 else len(text)


def _after_doctype(text: bytes, at: int) -> int:
    close = text.find(b">", at)
    subset = text.find(b"[", at)
    if subset < 0 or 0 <= close < subset:
        return close + 1 if close >= 0 else len(text)
    match = _SUBSET_END.search(text, subset)
    return match.end() if match else len(text)
