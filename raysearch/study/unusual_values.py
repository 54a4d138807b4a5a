"""Notes about values within a hyperparameter's bounds that are far from usual ones.

They may be intended, therefore they are notes and not problems.
"""

from collections.abc import Iterator

from .schema import Study
from .task_study import TaskStudy

# Hyperparameter -> the usual range for fine-tuning and pre-training of encoders.
USUAL: dict[str, tuple[float, float]] = {
    "LR": (1e-8, 0.1),
    "teacher_LR": (1e-8, 0.1),
    "BSZ": (1, 65_536),
    "EPOCH": (0.01, 1000),
    "weight_decay": (0, 1),
    "dropout": (0, 0.7),
    "attention_dropout": (0, 0.7),
    "classifier_dropout": (0, 0.7),
    "label_smoothing": (0, 0.5),
    "clip": (1e-3, 1e4),
    "adam_eps": (0, 1e-2),
    "layerwise_decay": (0.3, 1),
}


def unusual_value_notes(study: Study) -> list[str]:
    """Return a line for each value, searched or fixed, outside its usual range."""
    lines = [line for task in study.tasks for line in _task_notes(study.resolve(task))]
    return list(dict.fromkeys(lines))


def _task_notes(task: TaskStudy) -> Iterator[str]:
    space, fixed = task.space, task.shared
    for name, (low, high) in USUAL.items():
        if name in space:
            values = space[name].ends
        elif name in type(fixed).model_fields:
            values = (getattr(fixed, name),)
        else:
            continue
        numbers = [value for value in values if isinstance(value, int | float)]
        for number in (min(numbers, default=low), max(numbers, default=high)):
            if not low <= number <= high:
                description = fixed.description(name) or name
                yield f"{name} {number:g} is unusual: {description}, usually {low:g} to {high:g}"
