"""A stream cut into the requests of an upload, each known to be the last or not."""

from __future__ import annotations

from collections.abc import Iterator


def in_chunks(blocks: Iterator[bytes | memoryview], size: int) -> Iterator[bytes]:
    """Yield the stream in pieces of `size` bytes, the last one shorter."""
    held = bytearray()
    for block in blocks:
        view = memoryview(block)
        while view:
            taken = view[: size - len(held)]
            held += taken
            view = view[len(taken) :]
            if len(held) == size:
                yield bytes(held)
                held.clear()
    yield bytes(held)


def ahead(chunks: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield each chunk and whether it is the last; an empty one only if there is no other."""
    held = next(chunks)
    for chunk in chunks:
        if chunk:
            yield held, False
            held = chunk
    yield held, True
