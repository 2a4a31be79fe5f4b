"""The service: it receives, checks, keeps, shares and removes files. It knows no HTTP."""

# ruff: noqa: E402
from wharfinger.extras import require

require("sqlalchemy", "alembic", "itsdangerous", "multipart", extra="service")

from wharfinger.catalog.records import Event, FileState, Link, StoredFile, Token, UploadLink
from wharfinger.service.collections import Collection
from wharfinger.service.principals import ADMIN, READ, SCOPES, SHARE, WRITE, Principal
from wharfinger.service.receiving import Reception
from wharfinger.service.settings import WharfSettings
from wharfinger.service.wharf import Wharf

__all__ = [
    "ADMIN",
    "READ",
    "SCOPES",
    "SHARE",
    "WRITE",
    "Collection",
    "Event",
    "FileState",
    "Link",
    "Principal",
    "Reception",
    "StoredFile",
    "Token",
    "UploadLink",
    "Wharf",
    "WharfSettings",
]
