"""A file of bounded length: what an encoder writes is written whole, or it is an error."""

from __future__ import annotations

import errno
import io
import tempfile
from typing import BinaryIO, cast

import pytest

from support import pictures as p
from wharfinger.checking.output import Output


def test_it_is_written_read_and_sought_like_a_file() -> None:
    with tempfile.TemporaryFile() as file:
        with Output(file.fileno(), 10) as output:
            assert output.write(b"0123456789") == 10
            assert output.seek(2) == 2
            assert output.write(b"ab") == 2
            assert output.tell() == 4
            assert output.seek(0) == 0
            assert (output.read(3), output.read()) == (b"01a", b"b456789")
            assert (output.readable(), output.writable(), output.seekable()) == (True, True, True)
        output.close()
        file.seek(0)
        assert file.read() == b"01ab456789"


def test_a_byte_too_many_is_an_error_and_no_short_write() -> None:
    with tempfile.TemporaryFile() as file, Output(file.fileno(), 10) as output:
        output.write(b"0123456789")
        with pytest.raises(OSError, match="File too large") as caught:
            output.write(b"x")
        assert caught.value.errno == errno.EFBIG


def test_an_encoder_finds_no_descriptor_to_write_past_the_limit() -> None:
    with tempfile.TemporaryFile() as file, Output(file.fileno(), 700) as output:
        with pytest.raises(io.UnsupportedOperation):
            output.fileno()
        with pytest.raises(OSError, match="File too large"):
            p.gradient((400, 400)).save(cast("BinaryIO", output), "JPEG", quality=100)
