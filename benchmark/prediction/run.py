"""From what was asked for to a folder of masks: check all images, then predict one by one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmark.data.augmentation import has_flips
from benchmark.errors import BenchmarkError, DataError
from benchmark.prediction import measurements
from benchmark.prediction.committee import VIEWS, Committee, members
from benchmark.prediction.earlier import RECORD, TABLE, read_earlier
from benchmark.prediction.inputs import Item, find_images
from benchmark.prediction.orientation import trained_codes
from benchmark.prediction.task import Outcome, Task, Wish
from benchmark.records import write_json, write_table
from benchmark.trained import Trained
from datasets.case import DatasetError

Progress = Callable[[str, int, int], None]

# Names and messages that one line, or one error, lists.
_NAMED = 3
_LISTED = 10


def predict(
    trained: Trained,
    places: Sequence[Path],
    out: Path,
    wish: Wish,
    *,
    results: Path,
    progress: Progress = lambda what, done, total: None,
) -> Outcome:
    """Predict images and write masks, pictures, measurements and `predict.json`.

    All images are read and looked at before a network is loaded and anything is written, so a bad
    one is told at once. The outputs of one image take their places when all of them are written,
    the mask last; an image that is lost on the way (its file was changed or taken away) does not
    take the others with it. If the call is ended, the two tables tell what was done until then.
    Images of earlier calls with the same networks and options stay in them.

    Args:
        trained: The run.
        places: Images, folders of images, or the dataset's tree.
        out: Folder for the outputs; made if absent.
        wish: How.
        results: Results folder, where the other runs of an ensemble are.
        progress: Called with what is done, how many images are done, and of how many.

    Raises:
        BenchmarkError: The request cannot be carried out; nothing has been written then.
        DatasetError: The dataset's tree is not as it should be.
    """
    if out.exists() and not out.is_dir():
        raise BenchmarkError(f"-o {out}: expected a folder, found a file.")
    outcome = Outcome()
    runs = members(results, trained, wish.ensemble, on_loss=outcome.notes.append)
    task = Task(trained, runs, out, wish, trained_codes(trained.folder))
    items = find_images(places, task.info, out)
    if wish.test_only:
        items = _tested(items, trained)
    good = []
    for number, item in enumerate(items):
        progress("checking", number, len(items))
        try:
            task.read(item).check()
        except (DatasetError, DataError) as error:
            outcome.failures[str(item.path)] = str(error)
        else:
            good.append(item)
    if outcome.failures and (not wish.skip_bad or not good):
        raise _refused(outcome.failures, len(items))
    earlier = read_earlier(out, task.networks, dataclasses.asdict(wish))
    committee = Committee([run.predictor() for run in runs], VIEWS if wish.mirror else VIEWS[:1])
    hearts = measurements.Hearts(task.classes, task.info)
    last = {item.patient: item for item in good}
    outcome.pending = [item.name for item in good]
    try:
        for number, item in enumerate(good):
            progress("predicting", number, len(good))
            try:
                task.one(item, committee, hearts, outcome)
            except (DatasetError, DataError) as error:
                outcome.failures[str(item.path)] = str(error)
            outcome.pending.remove(item.name)
            if item is last[item.patient]:
                outcome.rows += hearts.close(item.patient)
    finally:
        # Masks that are there are told of, whatever ended the call: a full disk, or its user.
        if outcome.images:
            outcome.rows += hearts.close()
            outcome.notes += _notes(task, outcome)
            rows = [*earlier.rows_besides(outcome.rows), *outcome.rows]
            write_table(out / TABLE, rows, measurements.COLUMNS)
            write_json(out / RECORD, task.record(outcome, earlier))
    if not outcome.images:
        raise _refused(outcome.failures, len(items))
    return outcome


def _tested(items: Sequence[Item], trained: Trained) -> list[Item]:
    tested = trained.record["split"]["test"]
    chosen = [
        item
        for item in items
        if item.release == trained.spec.fingerprint and item.patient in tested
    ]
    if not chosen:
        raise BenchmarkError(
            f"--test-only: expected the files of {trained.spec.dataset} that the run was trained "
            f"on, with the {len(tested)} patients that it was tested on, found none of them."
        )
    return chosen


def _refused(failures: Mapping[str, str], total: int) -> DataError:
    texts = list(failures.values())
    if total == 1:
        return DataError(texts[0])
    listed = "".join(f"\n  {text}" for text in texts[:_LISTED])
    more = f"\n  and {len(texts) - _LISTED} more" if len(texts) > _LISTED else ""
    return DataError(
        f"{len(texts)} of {total} images cannot be predicted, so none was and nothing is written "
        f"(--skip-bad leaves them out):{listed}{more}"
    )


def _notes(task: Task, outcome: Outcome) -> list[str]:
    notes = []
    number = len(outcome.images)
    recipe = task.trained.spec.protocol.augmentation
    if task.wish.mirror and not has_flips(recipe):
        notes.append(
            f"mirrored views: the training recipe ({recipe}) has no flips, so the network has "
            "never seen a mirrored heart: compare with a prediction without --tta before relying "
            "on it."
        )
    for side, text in (
        ("train", "was trained on: scores on them say nothing about other patients"),
        ("validation", "was chosen by: scores on them are optimistic"),
    ):
        names = [image["name"] for image in outcome.images if image["patient_was_in"] == side]
        if names:
            notes.append(f"{len(names)} of {number} images are of patients that the model {text} "
                         f"({_first(names)}).")  # fmt: skip
    silent = [image["name"] for image in outcome.images if image["orientation"] is None]
    if silent:
        notes.append(
            f"{len(silent)} of {number} images do not say how they lie and were taken to lie as "
            f"the training images do ({_first(silent)})."
        )
    slices = [image["name"] for image in outcome.images if not image["measured"]]
    if slices:
        notes.append(
            f"{len(slices)} of {number} images are single slices, of which no volume is measured "
            f"({_first(slices)})."
        )
    return notes


def _first(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"
