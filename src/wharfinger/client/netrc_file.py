"""`.netrc`, for who asks for it: the user name and password of one host.

An entry is used for the host that a call names, and never after a redirect to another
origin: what it gives is a field like any the caller passes. The entry `default` is not
used: it would hand a password to whatever host comes along (CVE-2025-0167).
"""

from __future__ import annotations

import netrc
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from wharfinger import names
from wharfinger.errors import LocalFileError, SourceMissing

if TYPE_CHECKING:
    from wharfinger.net.urls import Url

Netrc = bool | str | os.PathLike[str]
"""True for `.netrc` in the home folder, a path for another file, False for none."""


def auth_for(url: Url, where: Netrc) -> tuple[str, str] | None:
    """Return the user name and password that the file has for a URL's host, None without any.

    Raises:
        SourceMissing: the named file does not exist (the one at home need not).
        LocalFileError: it cannot be read, is no such file, or others can read it.
    """
    if where is False:
        return None
    path = Path.home() / ".netrc" if where is True else Path(where)
    shown = names.show(str(path))
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        entries = netrc.netrc(str(path))
    except FileNotFoundError as error:
        if where is True:
            return None
        raise SourceMissing(f"{shown} does not exist.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise LocalFileError(f"{shown} cannot be read.") from error
    except netrc.NetrcParseError as error:
        raise LocalFileError(f"{shown} is no .netrc file: {names.show(error.msg)}.") from None
    if mode & 0o077:
        raise LocalFileError(f"{shown} can be read by others.", hint=f"Run: chmod 600 {shown}")
    entry = {name.lower(): value for name, value in entries.hosts.items() if name != "default"}.get(
        url.host.removesuffix(".")
    )
    return None if entry is None or not entry[0] else (entry[0], entry[2] or "")
