"""The tables, as the newest migration leaves them. Change both together (a test compares them)."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

files = Table(
    "files",
    metadata,
    # Listings go along `seq`, so that they stay stable while files come and go.
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("name", String(1024), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("type", String(255), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("collection", String(64), nullable=False),
    Column("owner", String(255)),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    # When an expired or removed file ended; its record is kept for a while after that.
    Column("ended_at", BigInteger),
    # Why it is held, was refused or could not be checked, as JSON.
    Column("problem", Text),
    # What a look at its content found, as JSON.
    Column("details", Text),
    # What was said of it when it came, as JSON, for a check that comes later.
    Column("declared", Text),
    Index("files_by_owner", "owner", "seq"),
    Index("files_by_collection", "collection", "seq"),
    Index("files_by_expiry", "expires_at"),
    sqlite_autoincrement=True,
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("principal", String(255), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("scopes", String(255), nullable=False),
    Column("collections", String(4096)),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
)

links = Table(
    "links",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("file_id", String(32), ForeignKey("files.id", ondelete="CASCADE"), nullable=False),
    Column("owner", String(255)),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("max_downloads", Integer),
    Column("downloads", Integer, nullable=False, server_default="0"),
    Column("download_name", String(1024)),
    Column("disposition", String(16), nullable=False),
    # The version of the file that it is for.
    Column("sha256", String(64), nullable=False, server_default=""),
    # What the password hashes to, with its parameters; NULL for a link without one.
    Column("password", String(255)),
    # How many downloads that broke were given back.
    Column("given_back", Integer, nullable=False, server_default="0"),
    # Tries of the password in the minute that began at `tries_since`.
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("tries_since", BigInteger, nullable=False, server_default="0"),
    Index("links_by_file", "file_id"),
    Index("links_by_expiry", "expires_at"),
)

claims = Table(
    "claims",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("link_id", String(32), ForeignKey("links.id", ondelete="CASCADE"), nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    # How many requests it has had.
    Column("requests", Integer, nullable=False),
    # Bytes that were delivered or are being sent, those that were delivered, and whether
    # the file's last one was among them.
    Column("allotted", BigInteger, nullable=False),
    Column("delivered", BigInteger, nullable=False),
    Column("ended", Boolean, nullable=False),
    Index("claims_by_link", "link_id"),
    Index("claims_by_expiry", "expires_at"),
)

# Uploads that can be resumed. `offset` counts bytes that survive a power cut; what lies behind it
# in staging means nothing.
uploads = Table(
    "uploads",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("collection", String(64), nullable=False),
    Column("owner", String(255)),
    # The upload link by which it came; NULL for none.
    Column("link_id", String(32)),
    Column("protocol", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    # NULL while it is not known.
    Column("length", BigInteger),
    Column("offset", BigInteger, nullable=False),
    # Moves when another process takes the upload over.
    Column("generation", Integer, nullable=False),
    Column("name", String(1024)),
    Column("type", String(255)),
    # As the client sent it, byte for byte.
    Column("metadata", Text, nullable=False),
    Column("concat", Text),
    # The SHA-256 that the whole must have, where the client told it.
    Column("digest", String(64)),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("file_id", String(32)),
    # Why it was refused, as JSON.
    Column("problem", Text),
    # The last bytes before `offset`, where staging was not synced with them; NULL for none.
    Column("tail", LargeBinary),
    Index("uploads_by_owner", "owner", "state"),
    Index("uploads_by_collection", "collection", "state"),
    Index("uploads_by_expiry", "expires_at"),
)

# Checks of files that are still to be made; enqueued in the transaction that records the file.
jobs = Table(
    "jobs",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("file_id", String(32), ForeignKey("files.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("tries", Integer, nullable=False, server_default="0"),
    # When it may be tried (again).
    Column("next_at", BigInteger, nullable=False),
    # Who does it, until when at the latest; NULL for nobody.
    Column("worker", String(32)),
    Column("leased_until", BigInteger),
    # Moves with every lease: who holds an older one has lost it.
    Column("token", Integer, nullable=False, server_default="0"),
    # Why the last try failed.
    Column("error", Text),
    # Given up until an operator looks at it.
    Column("parked", Boolean, nullable=False, server_default="0"),
    Index("jobs_by_file", "file_id", "kind"),
    Index("jobs_waiting", "parked", "next_at"),
    sqlite_autoincrement=True,
)

# Permissions to send files into one collection, and how much of each was used.
upload_links = Table(
    "upload_links",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("collection", String(64), nullable=False),
    Column("owner", String(255)),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("max_files", Integer),
    Column("max_bytes", BigInteger),
    Column("types", Text),
    Column("files", Integer, nullable=False, server_default="0"),
    Column("bytes", BigInteger, nullable=False, server_default="0"),
    Index("upload_links_by_collection", "collection"),
    Index("upload_links_by_expiry", "expires_at"),
)

# What live files take, per collection and per owner in one ("COLLECTION/OWNER"); kept in the
# transactions of the files.
usage = Table(
    "usage",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("name", String(320), primary_key=True),
    Column("files", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
)

# Answers to requests with an Idempotency-Key; the status is NULL while the first one runs.
replies = Table(
    "replies",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("request", String(64), nullable=False),
    Column("status", Integer),
    Column("headers", Text),
    Column("body", LargeBinary),
    # The ids of the files that the answer is about, as JSON.
    Column("files", Text),
    Column("created_at", BigInteger, nullable=False),
    Index("replies_by_age", "created_at"),
)

# What happened, written in the transaction in which it happened.
events = Table(
    "events",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("kind", String(32), nullable=False),
    Column("subject", String(32), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("payload", Text, nullable=False),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("next_at", BigInteger, nullable=False, server_default="0"),
    Column("done_at", BigInteger),
    Index("events_by_subject", "subject", "seq"),
    Index("events_waiting", "done_at", "next_at"),
    sqlite_autoincrement=True,
)
