"""Where records rest: SQLite through SQLAlchemy Core, with one writer thread.

`Catalog` runs functions in transactions; the modules `files`, `links` and `tokens`
hold the statements, one module a noun. Times are whole milliseconds since 1970
in the database and `datetime` (UTC) in the records.
"""

from wharfinger.catalog.database import Catalog
from wharfinger.catalog.records import (
    Event,
    FileState,
    Job,
    JobKind,
    Link,
    StoredFile,
    Token,
    Upload,
    UploadLink,
    UploadState,
)

__all__ = [
    "Catalog",
    "Event",
    "FileState",
    "Job",
    "JobKind",
    "Link",
    "StoredFile",
    "Token",
    "Upload",
    "UploadLink",
    "UploadState",
]
