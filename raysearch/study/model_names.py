"""The names in a study: of a model (a folder, a hub name, or a small one from scratch), of
the scores that papers print, and of languages to train in."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import Problem, shorten, unknown_name
from ..tasks import TASKS, Task
from .problem_lists import limit_names

FAMILIES = ("bert", "amos", "cross-thought")  # those that can be made from scratch
_SCRATCH = re.compile(rf"scratch(?:-({'|'.join(FAMILIES)}))?(?::(\d+)x(\d+)(?::(\d{{3,}}))?)?")
POSITIONS = {"bert": 512, "amos": 512}  # tokens of a row; Cross-Thought's are of each sentence
WORDS = 4000  # the most entries of a vocabulary that is made for one of them
LARGEST = (1000, 2**16, 10**7)  # layers, width and words of one of them
_DIGITS = 9  # of a number in such a name


def scratch_shape(model: str) -> tuple[str, int, int, int] | None:
    """Family, layers, width and vocabulary of `scratch` (bert, 2, 128, 4,000), `scratch-FAMILY` or
    `scratch-FAMILY:LAYERSxWIDTH:WORDS`, whose words may be left out; None for other names."""
    found = _SCRATCH.fullmatch(model)
    if found is None or not model.isascii():
        return None
    if any(len(number or "") > _DIGITS for number in found.groups()[1:]):
        return None
    family, layers, width, words = found.groups()
    return family or FAMILIES[0], int(layers or 2), int(width or 128), int(words or WORDS)


def resolve_model_folder(model: str) -> str:
    """The transformers folder behind a run's folder, or that of its task; other names stay.

    runs/amos-glue/glue-mnli and runs/amos-glue, where that has one winner, are .../best.
    """
    folder = Path(model)
    if not _is_folder(folder) or (folder / "config.json").is_file():
        return model
    winners = winner_folders(folder)
    return str(winners[0]) if len(winners) == 1 else model


def _is_folder(path: Path) -> bool:
    """Whether there is such a folder; none of a name that no file system takes."""
    try:
        return path.is_dir()
    except OSError:
        return False


def winner_folders(folder: Path) -> list[Path]:
    """The winners' weights under a run folder, or under that of one of its tasks."""
    return sorted(
        path.parent for at in ("best", "*/best") for path in folder.glob(f"{at}/config.json")
    )


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
    if not model.strip():
        text = f"a folder, a hub name or scratch is needed, got '{model}'"
        return [Problem(location="model", text=text)]
    if shape := scratch_shape(model):
        _, layers, width, _ = shape
        if any(one > most for one, most in zip(shape[1:], LARGEST, strict=True)):
            most = "{} layers, a width of {:,} and {:,} words".format(*LARGEST)
            text = f"'{model}' is larger than any encoder; at most {most} would do"
            return [Problem(location="model", text=text)]
        if layers and width >= 8 and width % max(1, width // 64) == 0:
            return []
        text = f"'{model}': at least one layer, and a width that its heads of 64 divide, as 2x128"
        return [Problem(location="model", text=text)]
    if model.startswith(("scratch:", "scratch-")):
        names = ", ".join(f"scratch-{family}" for family in FAMILIES)
        text = f"'{shorten(model)}' is no shape; scratch:LAYERSxWIDTH is, such as scratch:2x128"
        text += f", or {names}"
        return [Problem(location="model", text=text)]
    if not _is_folder(folder):
        file = _is_folder(folder.parent) and folder.name in os.listdir(folder.parent)
        path_like = folder.is_absolute() or model.startswith((".", "~")) or model.count("/") > 1
        path_like |= len(model) > 96  # no hub takes such a name
        seen = f"'{shorten(model)}' is a file" if file else f"no folder '{shorten(model)}'"
        text = f"{seen}; a transformers folder, a hub name or scratch would do"
        if model.startswith("~"):
            text = f"{seen}: ~ is not replaced here; write the path in full"
        return [Problem(location="model", text=text)] if path_like or file else []
    if not (folder / "config.json").is_file():
        text = f"'{folder}' has no config.json; a transformers folder or a run would do"
        if winners := winner_folders(folder):
            named = ", ".join(map(str, winners))
            text = f"'{folder}' has {len(winners)} winners: name one of {named}"
        return [Problem(location="model", text=text)]
    if not any(folder.glob("*.safetensors")) and not any(folder.glob("pytorch_model*.bin")):
        text = f"'{folder}' has no model.safetensors and no pytorch_model.bin"
        return [Problem(location="model", text=text)]
    return []


def training_language_problems(raw: Mapping[str, Any]) -> list[Problem]:
    """Languages to train in that a task has no training set of, and those that stand twice."""
    problems: list[Problem] = []
    wrong: list[tuple[int, str, list[Task]]] = []
    chosen = raw.get("train") if isinstance(raw.get("train"), list | tuple) else ()
    rows = [TASKS[n] for n in raw["tasks"] if n in TASKS and TASKS[n].languages]
    before: set[str] = set()
    for at, language in enumerate(map(str, chosen)):
        if language in before:
            text = f"each language stands once, got '{language}' again"
            problems.append(Problem(location=f"train[{at}]", text=text))
        elif strange := [task for task in rows if language not in _trained(task)]:
            wrong.append((at, language, strange))
        before.add(language)
    shown, rest = limit_names(wrong, "languages that no task trains in", "train")
    for at, language, strange in shown:
        for task in strange:
            text = unknown_name("training language", language, _trained(task) or ["none"])
            problems.append(Problem(location=f"train[{at}]", text=f"{task.name}: {text}"))
    return [*problems, *rest]


def _trained(task: Task) -> list[str]:
    """The languages that a task has training sets in."""
    return [split.language for split in task.training_splits() if split.language]
