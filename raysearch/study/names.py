"""The names in a study: of a model (a folder, a hub name, or a small one from scratch), of
the scores that papers print, and of languages to train in."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import Problem, unknown
from ..tasks import TASKS, Task

_SCRATCH = re.compile(r"scratch(?::(\d+)x(\d+))?")


def scratch_shape(model: str) -> tuple[int, int] | None:
    """Layers and width of `scratch` (2, 128) or `scratch:LAYERSxWIDTH`; None for other names."""
    found = _SCRATCH.fullmatch(model)
    if found is None:
        return None
    layers, width = (int(part) if part else None for part in found.groups())
    return 2 if layers is None else layers, 128 if width is None else width


def score_names(task: Task) -> list[str]:
    """What a paper may print: "accuracy", "mismatched.accuracy", "test.accuracy"; of languages
    "sw.accuracy", and "mean.accuracy" over all of them."""
    splits = ["", *(f"{split.name}." for split in task.dev[1:])]
    if task.languages:
        splits.insert(1, "mean.")
    return [f"{of}{split}{m}" for of in ("", "test.") for split in splits for m in task.metrics]


def model_problems(model: str) -> list[Problem]:
    """What is wrong with a model's name, seen without reading weights or asking a hub."""
    folder = Path(model)
    if shape := scratch_shape(model):
        layers, width = shape
        if layers and width >= 8 and width % max(1, width // 64) == 0:
            return []
        text = f"'{model}': at least one layer, and a width that its heads of 64 divide, as 2x128"
        return [Problem(place="model", text=text)]
    if model.startswith("scratch:"):
        text = f"'{model}' is no shape; scratch:LAYERSxWIDTH is, such as scratch:2x128"
        return [Problem(place="model", text=text)]
    if not folder.is_dir():
        path_like = folder.is_absolute() or model.startswith(".") or model.count("/") > 1
        text = f"no folder '{model}'; a transformers folder, a hub name or scratch would do"
        return [Problem(place="model", text=text)] if path_like else []
    if not (folder / "config.json").is_file():
        text = f"'{folder}' has no config.json; a transformers folder would do"
        return [Problem(place="model", text=text)]
    if not any(folder.glob("*.safetensors")) and not any(folder.glob("pytorch_model*.bin")):
        text = f"'{folder}' has no model.safetensors and no pytorch_model.bin"
        return [Problem(place="model", text=text)]
    return []


def train_problems(raw: Mapping[str, Any]) -> list[Problem]:
    """Languages to train in that a task has no training set of."""
    problems = []
    chosen = raw.get("train") if isinstance(raw.get("train"), list | tuple) else ()
    rows = [TASKS[n] for n in raw["tasks"] if n in TASKS and TASKS[n].languages]
    for at, language in enumerate(chosen):
        for task in rows:
            known = [split.language for split in task.trainings() if split.language]
            if language not in known:
                text = unknown("training language", str(language), known or ["none"])
                problems.append(Problem(place=f"train[{at}]", text=f"{task.name}: {text}"))
    return problems
