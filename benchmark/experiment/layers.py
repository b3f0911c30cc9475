"""What is laid over an experiment file from elsewhere: options of the command line, overrides.

Everything laid over is checked as the file is, by the same rules; an error names the option or the
other file instead of a line of this one.
"""

from __future__ import annotations

from pathlib import Path

from benchmark.errors import BenchmarkError, ConfigError, nearest
from benchmark.experiment.yaml_tree import Layer, Location, Tree, load, value_of


def one_run(architecture: str, dataset: str, *, fold: int, seed: int) -> Layer:
    """Make the matrix one cell, without rules, tuned recipes and what follows a run.

    The run has the key of the matrix's own cell, and exists where the matrix lacks it, too.
    """

    def lay(tree: Tree) -> Tree:
        tree = tree.laid(("matrix",), {}, "the matrix of one")
        for axis, value in (
            ("architecture", architecture), ("dataset", dataset), ("fold", fold), ("seed", seed),
        ):  # fmt: skip
            tree = tree.laid(("matrix", f"{axis}s"), [value], f"--{axis} {value}")
        if dataset in tree.data["datasets"]:
            tree = tree.laid(("datasets", dataset, "test_on"), {}, "the matrix of one")
        tree = tree.laid(("robustness",), None, "the matrix of one")
        return tree.laid(("tuned",), {}, "the matrix of one")

    return lay


def setting(text: str, architecture: str, dataset: str) -> Layer:
    """Set one value as ``--set KEY=VALUE`` says it.

    ``protocol.FIELD`` is set for the dataset, ``options.OPTION`` for the network on it,
    ``dataset.KEY`` in the section of the dataset, and ``dims`` for the network on it; the value is
    what it would be in the file.

    Raises:
        BenchmarkError: It is not of this form, or the key begins with something else.
    """
    key, sign, written = text.partition("=")
    parts = tuple(key.strip().split("."))
    places: dict[str, Location] = {
        "protocol": ("datasets", dataset, "protocol"),
        "options": ("architectures", architecture, "datasets", dataset, "options"),
        "dataset": ("datasets", dataset),
        "dims": ("architectures", architecture, "dims", dataset),
    }
    if parts[0] not in places:
        forms = "protocol.FIELD, options.OPTION, dataset.KEY or dims"
        raise BenchmarkError(
            f"--set {text}: expected {forms}, received {key.strip()!r}.{nearest(parts[0], places)}"
        )
    if not sign or not all(parts) or (len(parts) == 1) != (parts[0] == "dims"):
        raise BenchmarkError(
            f"--set {text}: expected KEY=VALUE, such as protocol.epochs=3 or options.filters=8."
        )
    try:
        value = value_of(written.strip())
    except ValueError as error:
        raise BenchmarkError(f"--set {text}: not valid YAML after the '=': {error}.") from None
    return lambda tree: tree.laid((*places[parts[0]], *parts[1:]), value, f"--set {text}")


def override(path: Path) -> Layer:
    """Lay another file over the experiment, key by key, as a profile is.

    Raises:
        ConfigError: It cannot be read, or has profiles of its own.
    """
    other = load(path)
    if "profiles" in other.data:
        raise ConfigError(
            f"{path}:{other.line(('profiles',))}: expected no profiles in an override: it is laid "
            "over the profile that runs."
        )
    return lambda tree: tree.under(other, path)
