"""PDF to pixels: the PNG of a figure shows what its PDF shows, and is not drawn a second time."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

_INCH_M = 0.0254
_IHDR_END = 33  # signature and first chunk of every PNG


def write_png(pdf: bytes, path: Path, dpi: int = 300) -> None:
    """Write the first page of a PDF as PNG; equal pages give equal bytes.

    Args:
        pdf: the document.
        path: the file; its folder is there.
        dpi: pixels per inch, which the file states.
    """
    import cv2
    import pypdfium2

    with pypdfium2.PdfDocument(pdf) as document:
        # PDFium rounds up: 2160.0000001 pixels would be 2161.
        bitmap = document[0].render(scale=dpi / 72 * (1 - 1e-6))
    # As small as with the usual choice between all filters, in half the time.
    effort = (cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP, cv2.IMWRITE_PNG_COMPRESSION, 3)
    _, png = cv2.imencode(".png", bitmap.to_numpy(), effort)
    path.write_bytes(_with_density(png.tobytes(), dpi))


def _with_density(png: bytes, dpi: int) -> bytes:
    """Say how large the picture is: chunk pHYs of the PNG specification (W3C, 11.3.4.3)."""
    per_metre = round(dpi / _INCH_M)
    chunk = b"pHYs" + struct.pack(">IIB", per_metre, per_metre, 1)
    framed = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return png[:_IHDR_END] + framed + png[_IHDR_END:]
