"""The PNG made from a figure's PDF against matplotlib's own drawing of it in pixels."""

import io

import numpy as np
from PIL import Image

from benchmark.report import layout


def test_the_png_is_what_matplotlib_draws_in_pixels(tmp_path):
    with layout.drawing():
        figure = layout.new_figure(layout.TWO_COLUMNS_IN, 2.5)
        axes = figure.add_axes((0.1, 0.2, 0.35, 0.6))
        axes.plot([0, 1, 3], [2, 1, 5], marker="o", color="#0072B2", label="Dice ± SD, α = 5 %")
        axes.bar([1, 2], [3, 4], color="#E69F00", edgecolor="black", hatch="////", alpha=0.5)
        axes.legend()
        pixels = figure.add_axes((0.55, 0.2, 0.35, 0.6))
        pixels.imshow(np.arange(400).reshape(20, 20), cmap="gray")
        (path,) = layout.save(figure, tmp_path, "figure", ["png"])
        (again,) = layout.save(figure, tmp_path, "again", ["png"])
        drawn = io.BytesIO()
        figure.savefig(drawn, format="png", dpi=300)
    ours, theirs = (Image.open(file).convert("RGB") for file in (path, drawn))
    assert ours.size == theirs.size == (2160, 750)
    # Edges are smoothed otherwise and letters hinted otherwise; everything is where it was.
    apart = np.abs(np.asarray(ours, float) - np.asarray(theirs, float)).mean(axis=2)
    assert apart.mean() < 1.5
    blocks = apart[:744].reshape(93, 8, 270, 8).mean(axis=(1, 3))
    assert np.quantile(blocks, 0.99) < 35
    means = [np.asarray(one, float).mean(axis=(0, 1)) for one in (ours, theirs)]
    np.testing.assert_allclose(*means, atol=0.5)  # red is red
    with Image.open(path) as image:
        assert np.round(image.info["dpi"]).tolist() == [300, 300]
    assert path.read_bytes() == again.read_bytes()
    assert [file.name for file in sorted(tmp_path.iterdir())] == ["again.png", "figure.png"]
