"""What figures say, and where."""

import xml.etree.ElementTree as ElementTree


def svg_text(path):
    return " ".join("".join(node.itertext()) for node in ElementTree.parse(path).iter())


def overlaps(figure):
    """Pairs of texts that overlap, and texts that leave the figure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    # Ticks beyond an axis' range exist but are not drawn.
    unseen = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in axis.get_major_ticks() + axis.get_minor_ticks():
                if not low <= tick.get_loc() <= high:
                    unseen |= {id(tick.label1), id(tick.label2)}
    boxes = []
    for text in figure.findobj(Text):
        if id(text) not in unseen and text.get_visible() and text.get_text().strip():
            box = text.get_window_extent(canvas.get_renderer())
            if box.width and box.height:
                boxes.append((text.get_text(), box))
    width, height = canvas.get_width_height()
    found = [
        (first, "leaves the figure")
        for first, box in boxes
        if box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1
    ]
    for index, (first, box) in enumerate(boxes):
        for second, other in boxes[index + 1 :]:
            across = min(box.x1, other.x1) - max(box.x0, other.x0)
            along = min(box.y1, other.y1) - max(box.y0, other.y0)
            if across > 2 and along > 2:
                found.append((first, second))
    return found
