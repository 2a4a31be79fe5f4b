"""tus concatenation: a final upload is made of partial ones, all of the same sender.

The addresses of the parts come from the client. What counts of them is the id at their end,
below this door: host and mount point are what a proxy may have changed, and the id leads
only to an upload of the same principal that came through the same door.

The parts are used up by the first final upload that becomes a file. Their records stay as
long as that of any upload that is over, so that whoever lost the answer and asks for the
same again gets it again.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from wharfinger.catalog import Upload, UploadState
from wharfinger.errors import NotFound, RequestError, UploadOver
from wharfinger.names import show
from wharfinger.protocol.tus_server import PARTIAL, final_parts
from wharfinger.web.asking import Asked
from wharfinger.web.doors import Door
from wharfinger.web.tus_sinks import Arrived

if TYPE_CHECKING:
    from wharfinger.stores.base import Buffer

_ID: Final = re.compile(r"[0-9a-f]{32}")


def begin_joining(
    asked: Asked,
    door: Door,
    addresses: list[str],
    *,
    name: str | None,
    type: str | None,  # noqa: A002 - the field's own word
    metadata: str,
) -> Joining | Upload:
    """Begin a final upload, or return the one that these parts became before.

    Raises:
        NotFound: an address is not of an upload of this sender.
        RequestError: an upload is not partial or not whole, or the request says a length.
        UploadOver: a part was used up by another final upload.
    """
    head = asked.head
    if "Upload-Length" in head.headers or "Upload-Defer-Length" in head.headers:
        raise RequestError("The length of a final upload is that of its parts; it is not sent.")
    if head.length != 0:
        raise RequestError("A final upload is made of its parts; it has no body.")
    ids = [_id_of(door, address) for address in addresses]
    found = {one: door.upload(asked.wharf, one) for one in dict.fromkeys(ids)}
    for part in found.values():
        if part.concat != PARTIAL:
            raise RequestError("A final upload is made of partial ones; this one is not.")
        if part.offset != part.length:
            raise RequestError(
                f"A part stands at {part.offset} bytes and is not whole.",
                hint="Send the rest of it first.",
            )
    earlier = next((one.file_id for one in found.values() if one.file_id is not None), None)
    if earlier is not None:
        return _made_before(asked, door, earlier, ids)
    upload = asked.wharf.uploads.create(
        door.collection,
        protocol="tus",
        owner=door.principal.id,
        link_id=door.link_id,
        length=sum(found[one].offset for one in ids),
        name=name,
        type=type,
        metadata=metadata,
        concat=head.headers.single("Upload-Concat"),
        parts=list(found.values()),
    )
    return Joining(asked, door, upload, [found[one] for one in ids])


class Joining:
    """The making of a final upload, done when the request is whole. It has no body."""

    def __init__(self, asked: Asked, door: Door, upload: Upload, parts: list[Upload]) -> None:
        self._uploads = asked.wharf.uploads
        self._door = door
        self._upload = upload
        self._parts = parts
        self._made = False

    def write(self, data: Buffer) -> None:
        raise RequestError(f"A final upload has no body; {len(data)} bytes came.")

    def finish(self) -> Arrived:
        self._door.still_open()
        stored = self._uploads.join(self._upload.id, self._parts)
        self._made = True
        upload = replace(
            self._upload, offset=stored.size, state=UploadState.COMPLETE, file_id=stored.id
        )
        return Arrived(upload, stored)

    def abort(self) -> None:
        if not self._made:
            self._made = True
            with contextlib.suppress(NotFound):  # nobody was told its address
                self._uploads.end(self._upload.id)


def _id_of(door: Door, address: str) -> str:
    """Return the id in the address of an upload. Raises NotFound."""
    try:
        folder, _, upload_id = urlsplit(address).path.rpartition("/")
    except ValueError:
        folder, upload_id = "", ""
    below = "/".join(door.base.split("/")[-2:])
    if not _ID.fullmatch(upload_id) or not (not folder or f"/{folder}".endswith(f"/{below}")):
        raise NotFound(f"There is no part {show(address, limit=100)!r} for you.")
    return upload_id


def _made_before(asked: Asked, door: Door, upload_id: str, ids: list[str]) -> Upload:
    try:
        found = door.upload(asked.wharf, upload_id)
    except NotFound:
        found = None
    if found is not None and found.state is UploadState.COMPLETE:
        addresses = final_parts(found.concat) or []
        if [_id_of(door, address) for address in addresses] == ids:
            return found
    raise UploadOver("A part has become part of another upload, and is gone.")
