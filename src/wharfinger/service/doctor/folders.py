"""The folders of an installation: are they there, ours, on one file system, with room?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from wharfinger.service.doctor.finding import Finding
from wharfinger.service.settings import WharfSettings
from wharfinger.units import GIB, show_size

_LITTLE_SPACE: Final = 1 * GIB


def data_folder(settings: WharfSettings) -> Finding:
    """Judge the data folder."""
    return _folder(
        "data folder", settings.data, "choose another folder with --data",
        handed_over=settings.offload is not None and settings.store_folder == settings.data,
    )  # fmt: skip


def store_folder(settings: WharfSettings) -> Finding:
    """Judge the folder of the files, where it is another one."""
    if settings.store_folder == settings.data:
        return Finding("store folder", "ok", "It is the data folder.")
    return _folder(
        "store folder", settings.store_folder, "change [store] url",
        handed_over=settings.offload is not None,
    )  # fmt: skip


def _folder(check: str, folder: Path, otherwise: str, *, handed_over: bool) -> Finding:
    """Judge a folder; where a web server sends the files, its group may pass through it."""
    if not folder.exists():
        parent = next(near for near in folder.absolute().parents if near.exists())
        if parent.is_dir() and os.access(parent, os.W_OK | os.X_OK):
            return Finding(check, "ok", f"{folder} is not there yet; the service will make it.")
        advice = f"Let the service's user write to {parent}, or {otherwise}."
        return Finding(check, "failure", f"{folder} is not there and cannot be made.", advice)
    if not folder.is_dir():
        return Finding(check, "failure", f"{folder} is a file.", f"Move it away, or {otherwise}.")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return Finding(
            check, "failure", f"{folder} cannot be written by this user.",
            "Run this as the service's user, or give that user the folder (chown).",
        )  # fmt: skip
    if folder.stat().st_mode & (0o067 if handed_over else 0o077):
        return Finding(
            check, "warning", f"{folder} can be entered by other users.", f"chmod 700 {folder}"
        )
    return Finding(check, "ok", f"{folder} can be written.")


def same_file_system(settings: WharfSettings) -> Finding:
    """Tell whether publishing is one rename or link."""
    staging, files = settings.store_folder / "staging", settings.store_folder / "files"
    if not staging.exists() or not files.exists():
        return Finding("file system", "ok", "The store is not there yet.")
    if staging.stat().st_dev != files.stat().st_dev:
        return Finding(
            "file system", "failure", f"{staging} and {files} are on different file systems.",
            "Publishing is one rename or link: mount both from one file system.",
        )  # fmt: skip
    return Finding("file system", "ok", "Staging and files are on one file system.")


def free_space(settings: WharfSettings) -> Finding:
    """Tell how much room is left."""
    folder = settings.store_folder.absolute()
    while not folder.exists():
        folder = folder.parent
    stats = os.statvfs(folder)
    free = stats.f_bavail * stats.f_frsize
    if free < _LITTLE_SPACE or stats.f_favail == 0 < stats.f_files:
        return Finding(
            "free space", "warning", f"{show_size(free)} are left.",
            "Uploads that do not fit are refused with 507: make room.",
        )  # fmt: skip
    return Finding("free space", "ok", f"{show_size(free)} are left.")
