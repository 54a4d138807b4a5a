"""Compares what kept predictions say of their examples with the files of the data.

It is apart from `kept_scores`, which needs no data: the gold labels stand in the kept file.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from ..data import dev_parts, readers
from ..data.dev_parts import spread_indices
from ..errors import InputError, Problem
from ..metrics import squad
from ..tasks import Example, Split, Task
from ..tasks.example_ids import format_ids, id_mismatch_problems
from .kept_files import KeptFile
from .references import References, example_id, load_references

if TYPE_CHECKING:
    import pyarrow as pa


def compare_gold(
    file: KeptFile, tables: Mapping[str, "pa.Table"], task: Task, data: Path
) -> list[str]:
    """Compare the ids and the gold labels of kept predictions with the data.

    Args:
        file: the kept file, and what its run says of the examples that were scored.
        tables: dev split -> its predictions.
        task: the task.
        data: the folder that holds the benchmarks' folders, or a gold file if there is one split.

    Returns:
        Notes: what was compared, and what could not be.

    Raises:
        InputError: with every difference: ids that only one side has, and labels that differ.
    """
    source = str(file.path)
    if not data.exists():
        text = f"there is no such file or folder: '{data}'"
        raise InputError(source, [Problem(location="--data", text=text)])
    if task.facts.masks_tokens:
        return ["masked tokens have no gold labels in the data: nothing was compared"]
    if data.is_file() and (len(tables) > 1 or file.hold_out is not None):
        text = f"is a file, and the predictions are of {', '.join(tables)}: give the folder"
        if file.hold_out is not None:
            text = "is a file; search.hold_out divides all dev splits together: give the folder"
        raise InputError(source, [Problem(location="--data", text=text)])
    dev_examples = file.hyper.dev_examples if file.hyper else None
    masks = _held_out(file, task, data, dev_examples)
    dev, problems = {split.name: split for split in task.dev}, []
    for name, table in tables.items():
        gold = load_references(task, data, dev[name])
        rows = np.asarray(spread_indices(len(gold.examples), dev_examples))
        problems += _differences(name, table, task, gold, rows[masks.get(name, slice(None))])
    absent = [name for name in readers.present_splits(task, data) if name in {*dev} - {*tables}]
    notes = [f"the ids and gold labels of {', '.join(tables)} are those of the data"]
    if absent:
        notes.append(f"the data has dev splits that were not predicted: {', '.join(absent)}")
    if problems:
        raise InputError(source, problems)
    return notes


def _held_out(
    file: KeptFile, task: Task, data: Path, dev_examples: int | None
) -> dict[str, dev_parts.Mask]:
    """Return which of a split's scored examples are held out; of a run without `hold_out` {}."""
    if file.searched is None or file.hold_out is None:
        return {}
    splits = dev_parts.read_dev(task, data, dev_examples)
    return dev_parts.held_out(task, splits, file.hold_out, file.searched.search.seed)


def _differences(
    name: str, table: "pa.Table", task: Task, gold: References, scored: NDArray[np.int64]
) -> list[Problem]:
    """Return every difference of a split, of whose examples those of some rows were scored."""
    expected = {example_id(gold.examples[row]): gold.examples[row] for row in scored}
    rows = {identity: row for row, identity in enumerate(table.column("id").to_pylist())}
    problems = id_mismatch_problems("prediction", rows, expected, example_name="example")
    both = [identity for identity in rows if identity in expected]
    kept = table.take([rows[identity] for identity in both])
    same = _same_gold(kept, task, gold.split, [expected[identity] for identity in both])
    if differing := [identity for identity, equal in zip(both, same, strict=True) if not equal]:
        text = f"{len(differing):,} of {len(both):,} differ from the data: {format_ids(differing)}"
        problems.append(Problem(location="gold labels", text=text))
    return [Problem(location=f"{name} {p.location}", text=p.text) for p in problems]


def _same_gold(
    table: "pa.Table", task: Task, split: Split, examples: Sequence[Example]
) -> Sequence[bool] | np.ndarray:
    """Return for each example whether what scores its prediction follows from the data."""
    if task.facts.labels_words:
        pairs = zip(table.column("gold_tags").to_pylist(), examples, strict=True)
        return [tuple(tags) == example["label"] for tags, example in pairs]
    if not task.facts.answers_questions:
        labels = np.array([cast(float, example["label"]) for example in examples], np.float32)
        same: np.ndarray = table.column("gold").to_numpy() == labels  # prepared data is float32
        return same
    return _same_points(table, task, split, examples)


def _same_points(
    table: "pa.Table", task: Task, split: Split, examples: Sequence[Example]
) -> np.ndarray:
    """Return for each question whether its answer earns what the file says."""
    by_language = task.by_language and split.language
    normalizer = (
        squad.normalizer_of(split.language or "") if by_language else squad.normalize_answer
    )
    gold = {
        str(row): tuple(text for text, _ in cast(tuple[tuple[str, int], ...], example["answers"]))
        for row, example in enumerate(examples)
    }
    answers = dict(zip(gold, table.column("answer").to_pylist(), strict=True))
    earned = squad.question_scores(answers, gold, task.unanswerable, normalizer)
    known: dict[str, Any] = {n: table.column(n).to_numpy() for n in ("exact", "f1", "answerable")}
    same: np.ndarray = known["answerable"] == np.array([*map(bool, gold.values())], bool)
    same &= (known["exact"] == earned["exact"]) & (known["f1"] == earned["f1"])
    return same
