"""The division of dev splits by `hold_out`, checked before a run: how large its parts are.

It is apart from `checks` because only studies that hold out examples need it.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from ..data import dev_parts
from ..errors import Problem
from ..study import TaskStudy

LOCATION = "search.hold_out"
PARTS = ("search", "held-out")


def held_out_sizes(task: TaskStudy, root: Path) -> tuple[dict[str, int], list[Problem]]:
    """Return the number of held-out examples of each dev split, and what is wrong with its parts.

    Args:
        task: a task of a study with `hold_out`, whose dev files have no problems.
        root: the data folder.
    """
    search = task.study.search
    assert search.hold_out is not None
    splits = dev_parts.read_dev(task.row, root, task.shared.dev_examples)
    masks = dev_parts.held_out(task.row, splits, search.hold_out, search.seed)
    sizes, problems = {}, []
    for name, examples in splits.items():
        sizes[name] = int(masks[name].sum())
        pairs = list(zip(examples, masks[name], strict=True))
        for part, held in zip(PARTS, (False, True), strict=True):
            chosen = [example for example, side in pairs if side == held]
            for text in _too_small(task, chosen, len(examples)):
                text = f"{task.name} {name}: the {part} part {text}"
                problems.append(Problem(location=LOCATION, text=text))
    return sizes, problems


def _too_small(
    task: TaskStudy, examples: Sequence[dev_parts.DevExample], total: int
) -> Iterator[str]:
    """Yield why a part of a split cannot be scored."""
    facts, remedy = task.row.facts, "another share, or no hold_out, would do"
    if task.shared.dev_examples is not None and task.shared.dev_examples <= total:
        remedy = f"{remedy}; dev_examples can be raised"
    if not examples:
        groups = f", as examples with the same {facts.shared_input} stay together"
        yield f"has none of the {total:,} examples{groups * bool(facts.shared_input)}: {remedy}"
    elif facts.labels_examples and len({example.label for example in examples}) < 2:
        label = examples[0].label
        labels = task.row.labels
        name = labels[label] if labels and isinstance(label, int) else label
        count = f"{len(examples):,} of the {total:,} examples"
        yield f"has {count}, and all have the label '{name}': {remedy}"
