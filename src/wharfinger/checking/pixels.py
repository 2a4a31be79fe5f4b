"""The pixels of a frame, and nothing else of what its file said."""

from __future__ import annotations

import io
from typing import Final

from PIL import Image, ImageCms

from wharfinger.checking.pictures import orientation

__all__ = ["in_srgb", "profile_of", "upright", "with_alpha"]

_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SRGB: Final = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
# Modes that colour management knows, and what they become.
_MANAGED: Final = {"L": "RGB", "RGB": "RGB", "RGBA": "RGBA", "CMYK": "RGB"}


def upright(frame: Image.Image) -> Image.Image:
    """Return a copy as it is shown: turned, colours in place of an index into a palette.

    It keeps the colour profile of its file beside it, and nothing else.
    """
    frame.load()
    # Asked now: some readers turn the image themselves, and say so.
    turn = _TURNS.get(orientation(frame))
    profile = profile_of(frame)
    shown = frame.copy() if turn is None else frame.transpose(turn)
    if "transparency" in shown.info and shown.mode != "LA":
        shown = shown.convert("RGBA")
    elif shown.mode in {"P", "PA"}:
        shown = shown.convert("RGBA" if shown.mode == "PA" else "RGB")
    elif shown.mode in {"RGBX", "YCbCr", "HSV"}:
        shown = shown.convert("RGB")
    elif shown.mode in {"La", "RGBa"}:
        shown = shown.convert("LA" if shown.mode == "La" else "RGBA")
    shown.info = {"icc_profile": profile} if profile else {}
    return shown


def in_srgb(shown: Image.Image) -> Image.Image:
    """Return the same colours without a profile: those of sRGB, which needs none.

    A profile that cannot be read is left out, as browsers do.
    """
    profile = profile_of(shown)
    shown.info = {}
    mode = _MANAGED.get(shown.mode)
    if profile and mode:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            managed = ImageCms.profileToProfile(shown, source, _SRGB, outputMode=mode)
        except (ImageCms.PyCMSError, OSError):
            managed = None
        if managed is not None:
            shown = managed
            shown.info = {}
    return shown


def profile_of(image: Image.Image) -> bytes:
    """Return the colour profile that came with an image; b"" for none."""
    profile = image.info.get("icc_profile")
    return profile if isinstance(profile, bytes) else b""


def with_alpha(shown: Image.Image) -> Image.Image:
    """Return it with four channels of 8 bits."""
    return shown if shown.mode == "RGBA" else shown.convert("RGBA")
