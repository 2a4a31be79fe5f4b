from __future__ import annotations

import pytest

from wharfinger.inspection.naming import named_by_type


@pytest.mark.parametrize(
    ("name", "media_type", "expected"),
    [
        ("photo.jpg", "image/jpeg", "photo.jpg"),
        ("photo.JPEG", "image/jpeg", "photo.JPEG"),
        ("photo.jpe", "image/jpg", "photo.jpe"),
        ("photo.png", "image/jpeg", "photo.jpg"),
        ("photo", "image/jpeg", "photo.jpg"),
        ("photo.", "image/jpeg", "photo.jpg"),
        ("photo.upload", "image/jpeg", "photo.upload.jpg"),
        ("report.2024", "application/pdf", "report.2024.pdf"),
        ("shell.php", "image/png", "shell.png"),
        (".htaccess", "text/plain", ".htaccess.txt"),
        ("sound.ogg", "video/ogg", "sound.ogg"),
        ("table.csv", "text/csv", "table.csv"),
        ("table.csv", "text/plain", "table.csv"),
        ("notes.png", "text/plain", "notes.txt"),
        ("data.bin", "application/octet-stream", "data.bin"),
        ("data", "application/x-ole-storage", "data"),
        ("data", "image/x-nobody-knows", "data"),
        ("ü" * 127 + "x", "image/jpeg", "ü" * 125 + ".jpg"),
        ("x" * 251 + ".png", "image/jpeg", "x" * 251 + ".jpg"),
    ],
)
def test_a_name_gets_the_extension_of_its_type(name: str, media_type: str, expected: str) -> None:
    assert named_by_type(name, media_type) == expected
