"""What kind of picture some bytes are, and how large: read from the header, without decoding the picture."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
_JPEG_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})


@dataclass(frozen=True, slots=True)
class Picture:
    """`width` and `height` in dots."""

    mime_type: str
    suffix: str
    width: int
    height: int


def picture(content: bytes) -> Picture | None:
    """A PNG, JPEG, GIF or WebP; None for anything else."""
    for read in (_png, _jpeg, _gif, _webp):
        try:
            found = read(content)
        except struct.error:  # the header breaks off
            found = None
        if found is not None and found.width > 0 and found.height > 0:
            return found
    return None


def _png(content: bytes) -> Picture | None:
    if content[:8] != _PNG or content[12:16] != b"IHDR":
        return None
    return Picture("image/png", ".png", *struct.unpack_from(">II", content, 16))


def _gif(content: bytes) -> Picture | None:
    if content[:6] not in (b"GIF87a", b"GIF89a"):
        return None
    return Picture("image/gif", ".gif", *struct.unpack_from("<HH", content, 6))


def _jpeg(content: bytes) -> Picture | None:
    """Walks from segment to segment until one starts a frame."""
    if content[:2] != b"\xff\xd8":
        return None
    at = 2
    while at < len(content):
        marker, kind = struct.unpack_from(">BB", content, at)
        if marker != 0xFF:
            return None
        if kind in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", content, at + 5)
            return Picture("image/jpeg", ".jpg", width, height)
        if kind == 0xFF:  # a fill byte
            at += 1
        else:
            at += 2 if kind in _JPEG_ALONE else 2 + struct.unpack_from(">H", content, at + 2)[0]
    return None


def _webp(content: bytes) -> Picture | None:
    if content[:4] != b"RIFF" or content[8:12] != b"WEBP":
        return None
    kind = content[12:16]
    if kind == b"VP8X":
        low_width, high_width, low_height, high_height = struct.unpack_from("<HBHB", content, 24)
        width, height = 1 + low_width + (high_width << 16), 1 + low_height + (high_height << 16)
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    elif kind == b"VP8 ":
        width, height = (size & 0x3FFF for size in struct.unpack_from("<HH", content, 26))
    else:
        return None
    return Picture("image/webp", ".webp", width, height)
