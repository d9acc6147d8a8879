"""A screenshot as a PNG of 256 colours: a third of the browser's own file, and no difference to the eye."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
from playwright.async_api import BrowserContext

_COLOURS = 256
_STEP = 4
_DECODE = """async (png) => {
  const image = new Image();
  image.src = `data:image/png;base64,${png}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.width, image.height];
  const pen = canvas.getContext("2d");
  pen.drawImage(image, 0, 0);
  const bytes = pen.getImageData(0, 0, image.width, image.height).data;
  let text = "";
  for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  return [image.width, image.height, btoa(text)];
}"""


async def small_png(png: bytes, context: BrowserContext) -> bytes:
    """`png` with its commonest colours, each other pixel in the nearest of them. The browser reads the picture."""
    page = await context.new_page()
    width, height, pixels = await page.evaluate(_DECODE, base64.b64encode(png).decode())
    await page.close()
    rgb = np.frombuffer(base64.b64decode(pixels), np.uint8).reshape(-1, 4)[:, :3].astype(np.int64)
    palette, places = _reduced(np.minimum((rgb + _STEP // 2) // _STEP * _STEP, 255))
    rows = np.concatenate([np.zeros((height, 1), np.uint8), places.reshape(height, width)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)  # 8 bits a pixel, by palette
    parts = [
        (b"IHDR", header),
        (b"PLTE", palette.tobytes()),
        (b"IDAT", zlib.compress(rows.tobytes(), 9)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in parts)


def _reduced(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most 256 colours, and for each pixel its place among them."""
    found, inverse, counts = np.unique(rgb @ (65536, 256, 1), return_inverse=True, return_counts=True)
    colours = np.stack([found >> 16, found >> 8 & 255, found & 255], axis=1)
    palette = colours[np.argsort(-counts, kind="stable")[:_COLOURS]]
    nearest = np.array([((palette - colour) ** 2).sum(axis=1).argmin() for colour in colours], np.uint8)
    return palette.astype(np.uint8), nearest[inverse.reshape(-1)]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
