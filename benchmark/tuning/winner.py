"""What a study has found: the recipe as an override, and a table of the trials."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmark.experiment.show import about
from benchmark.experiment.spec import RunSpec
from benchmark.experiment.tuning_section import found_on
from benchmark.records import write_atomic
from benchmark.tuning.space import as_recipe
from benchmark.tuning.study import FOLDER, Tried, best

# As many trials fit on a screen.
MOST_ROWS = 10


def override_path(results: Path, study: str) -> Path:
    """Return the file that holds what a study has found."""
    return results / FOLDER / f"{study}.yaml"


def write_override(
    path: Path, study: str, spec: RunSpec, tried: Sequence[Tried], cost_s: float, *, command: str
) -> bool:
    """Write the best recipe as a file for ``run --override``; tell whether there is one.

    Args:
        path: Where to.
        study: Name of the study.
        spec: The run around which it searched.
        tried: Its trials.
        cost_s: What they took.
        command: What runs the recipe, for its head.
    """
    import yaml

    winner = best(tried)
    if winner is None:
        return False
    protocol, options = as_recipe(winner.values)
    recipe = {
        "study": study,
        "trials": len(tried),
        "cost_s": round(cost_s, 1),
        "validation_dice": winner.dice,
        "found_on": found_on(spec),
        "protocol": protocol,
        "options": options,
    }
    content = {"tuned": {spec.architecture: {spec.dataset: {spec.fold: recipe}}}}
    head = (
        f"# The best of {len(tried)} trials on validation patients (trial {winner.number}); no "
        f"test case was read.\n# {command}\n"
    )
    write_atomic(path, head + yaml.safe_dump(content, sort_keys=False))
    return True


def show(tried: Sequence[Tried], cost_s: float, console: Console) -> None:
    """Print the best trials, and what all of them took."""
    order = sorted(tried, key=lambda trial: (trial.dice is None, -(trial.dice or 0), trial.number))
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("trial", justify="right")
    table.add_column("validation Dice", justify="right")
    table.add_column("epochs", justify="right")
    table.add_column("time", justify="right")
    for name in tried[0].values if tried else ():
        table.add_column(name.partition(".")[2], justify="right")
    for trial in order[:MOST_ROWS]:
        values = (f"{v:.3g}" if isinstance(v, float) else str(v) for v in trial.values.values())
        score = trial.status if trial.dice is None else f"{trial.dice:.3f}"
        table.add_row(
            str(trial.number), score, str(trial.epochs), about(trial.seconds), *values
        )  # fmt: skip
    console.print(table)
    if len(order) > MOST_ROWS:
        console.print(f"  and {len(order) - MOST_ROWS} more")
    pruned = sum(trial.status == "pruned" for trial in tried)
    console.print(f"{len(tried)} trials, {pruned} of them pruned, took {about(cost_s)}.")
