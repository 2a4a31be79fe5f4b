"""Which types of images can be checked here, and what is missing for others.

Pillow is always there. AVIF needs libvips too: Pillow's reader refuses files that others
show, so that its no proves nothing. HEIC needs libheif. Without its decoder such an image is
not accepted where a policy asks for proof: a header alone proves no image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

from wharfinger.inspection.media_types import KINDS, Family, describe_type, kind_of_type
from wharfinger.policy import Policy

__all__ = ["DECODERS", "Decoder", "Missing", "can_decode", "is_picture", "missing", "why_missing"]


@dataclass(frozen=True, slots=True)
class Decoder:
    """How a type is decoded: names of Pillow's formats, and what else must be installed."""

    formats: tuple[str, ...]
    package: str = ""
    extra: str = ""


DECODERS: Final[Mapping[str, Decoder]] = {
    "image/jpeg": Decoder(("JPEG", "MPO")),
    "image/png": Decoder(("PNG",)),
    "image/gif": Decoder(("GIF",)),
    "image/webp": Decoder(("WEBP",)),
    "image/bmp": Decoder(("BMP",)),
    "image/tiff": Decoder(("TIFF",)),
    "image/vnd.microsoft.icon": Decoder(("ICO", "CUR")),
    "image/avif": Decoder(("AVIF",), "pyvips", "vips"),
    "image/heic": Decoder(("HEIF",), "pillow_heif", "heif"),
    "image/heif": Decoder(("HEIF",), "pillow_heif", "heif"),
}


@dataclass(frozen=True, slots=True)
class Missing:
    """A type that a policy names and that cannot be checked here. `extra`: what brings it."""

    type: str
    extra: str

    @property
    def sentence(self) -> str:
        """What is the matter, for people."""
        return f"{describe_type(self.type)}s cannot be checked here: no decoder is installed."

    @property
    def advice(self) -> str:
        """What whoever runs this can do about it."""
        instead = (
            f"take {self.type} out of the types, or 'damaged' out of refuse (they come unproven)"
        )
        if not self.extra:
            return f"There is none for them: {instead}."
        return f"pip install 'wharfinger[{self.extra}]', or {instead}."


def is_picture(media_type: str) -> bool:
    """Return whether this is an image of pixels, which only decoding proves. SVG is none."""
    kind = kind_of_type(media_type)
    return kind is not None and kind.family is Family.IMAGE and not kind.active


def can_decode(media_type: str) -> bool:
    """Return whether images of this type can be decoded here."""
    decoder = DECODERS.get(media_type)
    return decoder is not None and (not decoder.package or find_spec(decoder.package) is not None)


def missing(policy: Policy) -> tuple[Missing, ...]:
    """Return the types that a policy names and that cannot be checked here.

    Empty where the policy asks for no proof; "image/*" names none in particular.
    """
    if not policy.check_content or "damaged" not in policy.refuse or policy.types is None:
        return ()
    return tuple(
        why_missing(kind.type)
        for kind in KINDS
        if kind.type in policy.types and is_picture(kind.type) and not can_decode(kind.type)
    )


def why_missing(media_type: str) -> Missing:
    """Return what is missing for a type that cannot be decoded here."""
    decoder = DECODERS.get(media_type)
    return Missing(media_type, "" if decoder is None else decoder.extra)
