"""What is told of a prepared split: examples, labels, language, and what was left out.

It is apart from the preparation because it only counts what is in memory already.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..data import encoding_cache
from ..data.columns import IMPOSSIBLE, LABEL
from ..tasks import Split, Task

MAX_LABELS = 100  # of which counts are kept


def split_facts(
    task: Task, split: Split, prepared: encoding_cache.Prepared, used: pa.Table
) -> dict[str, Any]:
    """Return the facts of one split of a task.

    Args:
        task: the task.
        split: the split.
        prepared: its token ids.
        used: the rows that are trained on or scored: all of them, or a part of a dev split.

    Returns:
        `examples`, `used` and `rows`, counts; `language`; `left_out`, in words; and either
        `labels`, label -> count over the used examples, or `label_statistics` of numbers.
    """
    ends = encoding_cache.example_ends(prepared.table)
    return {
        "examples": len(ends),
        "used": len(encoding_cache.example_ends(used)),
        "rows": prepared.table.num_rows,
        "language": split.language,
        "left_out": prepared.skipped,
        **_label_facts(task, used),
    }


def _label_facts(task: Task, table: pa.Table) -> dict[str, Any]:
    """Return the distribution of labels; nothing for heads without labels."""
    facts = task.facts
    if facts.extracts_answers and IMPOSSIBLE in table.column_names:
        flags = _first_rows(table)[IMPOSSIBLE].to_numpy()
        none = int(flags.sum())
        return {"labels": {"with an answer in the first window": len(flags) - none, "none": none}}
    if LABEL not in table.column_names:
        return {}
    if facts.labels_words:
        values = pc.list_flatten(table[LABEL])
        return {"labels": _counts(values.filter(pc.greater_equal(values, 0)), task.labels)}
    values = _first_rows(table)[LABEL]
    if facts.numeric_labels:
        numbers = values.to_numpy()
        lowest, highest, mean = numbers.min(), numbers.max(), numbers.mean()
        statistics = {
            "lowest": lowest,
            "highest": highest,
            "mean": mean,
            "deviation": numbers.std(),
        }
        return {"label_statistics": {name: float(value) for name, value in statistics.items()}}
    return {"labels": _counts(values, task.labels)}


def _first_rows(table: pa.Table) -> pa.Table:
    """Return the first row of each example."""
    ends = np.asarray(encoding_cache.example_ends(table))
    return table.take(pa.array(np.concatenate([[0], ends[:-1]]).astype(np.int64)))


def _counts(values: pa.ChunkedArray, labels: tuple[str, ...]) -> dict[str, int]:
    """Return label -> count, by the order of the labels; options have numbers for names."""
    counted = {row["values"].as_py(): row["counts"].as_py() for row in pc.value_counts(values)}
    present = sorted(counted)[:MAX_LABELS]
    return {labels[i] if labels else f"option {i + 1}": counted[i] for i in present}
