"""PDF to pixels: the PNG of a figure shows what its PDF shows, and is not drawn a second time."""

from __future__ import annotations

from pathlib import Path


def write_png(pdf: bytes, path: Path, dpi: int = 300) -> None:
    """Write the first page of a PDF as PNG; equal pages give equal bytes.

    Args:
        pdf: the document.
        path: the file; its folder is there.
        dpi: pixels per inch, which the file states.
    """
    import pypdfium2

    with pypdfium2.PdfDocument(pdf) as document:
        page = document[0]
        # PDFium rounds up: 2160.0000001 pixels would be 2161.
        pixels = page.render(scale=dpi / 72 * (1 - 1e-6)).to_pil()
    # A tenth larger than with the usual effort, in half the time.
    pixels.save(path, "PNG", dpi=(dpi, dpi), compress_level=3)
