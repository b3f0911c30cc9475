"""The network of a finished run in another program's format, with a check and a model card."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.export import formats
from benchmark.export.card import card, preparation
from benchmark.export.check import Agreement, compare

if TYPE_CHECKING:
    from benchmark.trained import Trained


def card_path(path: Path) -> Path:
    """Return where the card of an exported network lies: beside it, under its name with `.md`."""
    return path.with_name(f"{path.name}.md")


def export(trained: Trained, name: str, path: Path) -> Agreement:
    """Write the network in float32, load it again, compare, and write its card.

    Both files appear together when all is well; a file that was there before stays otherwise.

    Args:
        trained: A finished run.
        name: A format of `formats.FORMATS`.
        path: The file, or for `savedmodel` the folder, to write.

    Returns:
        How far the exported network is from that of the run.

    Raises:
        BenchmarkError: The request cannot be carried out (see `formats.check_request`), the
            weights do not fit, or the exported network predicts something else.
    """
    form = formats.check_request(name, path, trained.spec.protocol.backend)
    network = formats.finest(trained.network(precision="float32"))
    path.parent.mkdir(parents=True, exist_ok=True)
    # In a folder of its own beside the target: formats write several files, and insist on suffixes.
    place = path.parent / f".{path.name}.{uuid.uuid4().hex}.tmp"
    place.mkdir()
    try:
        made = place / path.name
        properties = {"run": trained.spec.key, "preparation": preparation(trained)}
        form.write(network, made, properties)
        agreement = compare(
            formats.apply(network),
            form.load(made),
            tuple(network.input_shape[1:]),
            exclusive=trained.spec.protocol.loss != "one_vs_rest",
        )
        text = card(trained, name, path.name, agreement, layers=formats.own_layers(network))
        described = place / card_path(path).name
        described.write_text(text, encoding="utf-8")
        if path.is_dir():
            path.rename(place / "replaced")
        made.replace(path)
        described.replace(card_path(path))
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return agreement
