"""Archives: what is in them, whether unpacking them would do harm, and their members for scanners.

Zip and every document that is one (docx, odt, epub, jar, apk), tar, gzip, bzip2, xz, and ar as
Debian packages use it; also inside one another. Rules:

* Nothing is unpacked but into pieces of 64 KiB that are counted and forgotten. The one
  exception is a zip inside another archive: up to 8 MiB it is held, because its directory
  stands at its end; a larger one is read in order by the headers before its members, and
  compared with its directory when that comes past (`zip_in_order` says what that leaves out).
* What an archive announces is compared with the limits before anything is unpacked, what
  comes out is counted all the same.
* An archive breaks limits or has findings; it never raises anything else, whatever its bytes.
* 7z, RAR, Zstandard, cabinets and RPM are not looked into: nothing is said of their members.
"""

from __future__ import annotations

from wharfinger.inspection.archives.looking import look
from wharfinger.inspection.archives.walking import UNREADABLE, Walk, members

__all__ = ["UNREADABLE", "Walk", "look", "members"]
