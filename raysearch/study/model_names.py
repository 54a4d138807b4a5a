"""The names of a study that refer to models, to printed scores and to training languages.

A model is a folder, a URI, a name on a hub, or a small model from scratch. Names are checked
without reading weights or asking a hub.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import Problem, shorten, unknown_name
from ..storage.uris import folder_of, is_remote, normalize
from ..tasks import TASKS, Task, slug_of
from .own_tasks import PREFIX, known_tasks
from .problem_limits import limit_names

FAMILIES = ("bert", "amos", "cross-thought")  # families of models from scratch
_SCRATCH = re.compile(rf"scratch(?:-({'|'.join(FAMILIES)}))?(?::(\d+)x(\d+)(?::(\d{{3,}}))?)?")
POSITIONS = {"bert": 512, "amos": 512}  # per row; Cross-Thought's positions are per sentence
DEFAULT_WORDS = 4000  # maximum size of the vocabulary of a model from scratch
MAX_SHAPE = (1000, 2**16, 10**7)  # layers, width and vocabulary of a model from scratch
_MAX_DIGITS = 9  # of a number in its name
_MAX_HUB_NAME = 96  # characters
HUB = "hub:"  # before a name of a hub; other names may mean folders, too
# As huggingface_hub checks them; this package does not import it.
_HUB_NAME = re.compile(r"(?:\w[\w.-]*\w/|\w/)?(?:\w[\w.-]*\w|\w)", re.ASCII)
# A relative path in one of these folders is a path, whether the folder is there or not.
_FOLDERS = frozenset({"runs", "models", "checkpoints", "weights", "output", "outputs", "results"})


def scratch_shape(model: str) -> tuple[str, int, int, int] | None:
    """Return the shape of a model from scratch.

    Its name is `scratch` (bert, 2 layers, width 128, 4,000 words), `scratch-FAMILY` or
    `scratch-FAMILY:LAYERSxWIDTH:WORDS`, of which WORDS may be left out.

    Args:
        model: the name of any model.

    Returns:
        Family, layers, width and size of the vocabulary; None for other names.
    """
    match = _SCRATCH.fullmatch(model)
    if match is None or not model.isascii():
        return None
    if any(len(number or "") > _MAX_DIGITS for number in match.groups()[1:]):
        return None
    family, layers, width, words = match.groups()
    return family or FAMILIES[0], int(layers or 2), int(width or 128), int(words or DEFAULT_WORDS)


def resolve_model_folder(model: str) -> str:
    """Return the transformers folder of a run's or a task's folder; other names are unchanged.

    For runs/amos-glue/glue-mnli it is that folder's `best`; so it is for runs/amos-glue if the run
    has one winner. For a URI it is the local copy, once it has been fetched.
    """
    if is_remote(model):
        copy = folder_of(normalize(model), "copies")
        return resolve_model_folder(str(copy)) if copy.is_dir() else model
    folder = Path(model)
    if not _is_folder(folder) or (folder / "config.json").is_file():
        return model
    winners = winner_folders(folder)
    return str(winners[0]) if len(winners) == 1 else model


def plain_name(model: str) -> str:
    """Return the name by which a hub knows a model: without `hub:` before it."""
    return model.removeprefix(HUB)


def hub_cure(name: str) -> str:
    """Return how a model of a hub comes to a machine without a network."""
    return (
        f"without a network: `hf download {name} --local-dir FOLDER` on a machine that has one,"
        " then FOLDER here as the model; or a cache that holds it, which HF_HUB_CACHE names"
    )


def is_hub_name(model: str) -> bool:
    """Return whether a valid name is taken for one on a hub: neither folder, URI nor scratch."""
    return not (scratch_shape(model) or is_remote(model) or _is_folder(Path(model)))


def describe_model(model: str) -> str:
    """Return what a model's name is taken for, in words.

    Args:
        model: as the study names it.
    """
    if shape := scratch_shape(model):
        family, layers, width, words = shape
        count = f"{layers} layer{'s' * (layers != 1)}"
        return f"random weights: {family}, {count} of width {width}, {words:,} words"
    if is_remote(model):
        return "a URI, which is fetched"
    folder = resolve_model_folder(model)
    if folder != model:
        return f"the winner of a run, {folder}"
    if _is_folder(Path(model)):
        return "a folder"
    return "a name on a hub, which is asked when the run starts"


def _is_folder(path: Path) -> bool:
    """Return whether a folder exists; False for names that are invalid in the file system."""
    try:
        return path.is_dir()
    except OSError:
        return False


def winner_folders(folder: Path) -> list[Path]:
    """Return the folders of winners' weights under the folder of a run or of one of its tasks."""
    patterns = ("best/config.json", "*/best/config.json")
    return sorted(path.parent for pattern in patterns for path in folder.glob(pattern))


def score_names(task: Task) -> list[str]:
    """Return the names of the scores that a paper may print for a task.

    They are like "accuracy", "mismatched.accuracy" and "test.accuracy"; for tasks with languages
    also like "sw.accuracy" and "mean.accuracy", the mean over all languages.
    """
    prefixes = ["", *(f"{split.name}." for split in task.dev[1:])]
    if task.languages:
        prefixes.insert(1, "mean.")
    return [
        f"{part}{prefix}{metric}"
        for part in ("", "test.")
        for prefix in prefixes
        for metric in task.metrics
    ]


def model_problems(model: str) -> list[Problem]:
    """Return the problems of a model's name, without reading weights or asking a hub.

    Args:
        model: as the study names it, or its folder.
    """
    text = _name_message(resolve_model_folder(model))
    return [Problem(location="model", text=text)] if text else []


def _name_message(model: str) -> str:
    """Return what is wrong with a model's name, or ""."""
    if not model.strip():
        return f"a folder, a hub name or scratch is needed, got '{model}'"
    if shape := scratch_shape(model):
        return _shape_message(model, *shape[1:])
    if model.startswith(("scratch:", "scratch-")):
        names = ", ".join(f"scratch-{family}" for family in FAMILIES)
        text = f"'{shorten(model)}' is no shape; scratch:LAYERSxWIDTH is, such as scratch:2x128"
        return f"{text}, or {names}"
    if is_remote(model):
        return ""  # what is there is known once it is fetched
    if model.startswith(HUB):
        return _hub_message(plain_name(model))
    folder = Path(model)
    is_task = model in TASKS or model.startswith(PREFIX)
    if is_task and not (folder / "config.json").is_file():
        return (
            f"'{model}' is a task; `from: {model}` under per_task starts a task from its winner in"
            f" this study, and a folder such as runs/NAME/{slug_of(model)} from that of a run"
        )
    return _folder_message(folder) if _is_folder(folder) else _missing_folder_message(model)


def _shape_message(model: str, layers: int, width: int, words: int) -> str:
    shape = (layers, width, words)
    if any(size > limit for size, limit in zip(shape, MAX_SHAPE, strict=True)):
        limits = "{} layers, a width of {:,} and {:,} words".format(*MAX_SHAPE)
        return f"'{model}' is larger than any encoder; at most {limits} would do"
    if layers and width >= 8 and width % max(1, width // 64) == 0:
        return ""
    return (
        f"'{model}': at least one layer is needed, and a width that is divisible by its number "
        "of heads of 64, such as 2x128"
    )


def _missing_folder_message(model: str) -> str:
    """Return what is wrong with a name that is no folder; "" if it may be a hub name."""
    folder = Path(model)
    is_file = _is_folder(folder.parent) and folder.name in os.listdir(folder.parent)
    is_path = folder.is_absolute() or model.startswith((".", "~")) or model.count("/") > 1
    first = folder.parts[0]
    is_path = is_path or ("/" in model and (first in _FOLDERS or _is_folder(Path(first))))
    if not (is_file or is_path) and _is_valid_on_hub(model):
        return ""
    text = f"'{shorten(model)}' is a file" if is_file else f"no folder '{shorten(model)}'"
    if model.startswith("~"):
        return f"{text}: ~ is not replaced here; write the path in full"
    if _is_valid_on_hub(model):
        return f"{text}, and it looks like a path; {HUB}{model} would be the name on a hub"
    return f"{text}; a transformers folder, a hub name or scratch would do"


def _is_valid_on_hub(name: str) -> bool:
    """Return whether a hub can have a model of this name: NAME or OWNER/NAME."""
    is_valid = len(name) <= _MAX_HUB_NAME and _HUB_NAME.fullmatch(name) is not None
    return is_valid and not name.endswith(".git") and "--" not in name and ".." not in name


def _hub_message(name: str) -> str:
    """Return what is wrong with a name after `hub:`, or ""."""
    if not _is_valid_on_hub(name):
        return (
            f"'{HUB}{shorten(name)}': a hub has NAME or OWNER/NAME, of letters, digits, '-', '_'"
            f" and '.', at most {_MAX_HUB_NAME} characters"
        )
    if _is_folder(Path(name)):
        return (
            f"'{HUB}{name}': there is a folder '{name}' here, which would be read instead of the"
            " hub's model: start from another folder"
        )
    return ""


def _folder_message(folder: Path) -> str:
    if not (folder / "config.json").is_file():
        if winners := winner_folders(folder):
            names = ", ".join(map(str, winners))
            return f"'{folder}' has {len(winners)} winners: name one of {names}"
        return f"'{folder}' has no config.json; a transformers folder or a run would do"
    if not any(folder.glob("*.safetensors")) and not any(folder.glob("pytorch_model*.bin")):
        return f"'{folder}' has no model.safetensors and no pytorch_model.bin"
    return ""


def training_language_problems(raw: Mapping[str, Any]) -> list[Problem]:
    """Return the problems of `train`: languages without a training set, and repeated ones.

    Args:
        raw: the mapping of a file whose tasks are expanded.
    """
    problems: list[Problem] = []
    unknown: list[tuple[int, str, list[Task]]] = []
    value = raw.get("train")
    known = known_tasks(raw)
    tasks = [known[name] for name in raw["tasks"] if name in known and known[name].languages]
    previous: set[str] = set()
    for index, language in enumerate(map(str, value if isinstance(value, list | tuple) else ())):
        if language in previous:
            text = f"each language may appear only once, got '{language}' again"
            problems.append(Problem(location=f"train[{index}]", text=text))
        elif without := [t for t in tasks if language not in _training_languages(t)]:
            unknown.append((index, language, without))
        previous.add(language)
    shown, rest = limit_names(unknown, "languages that no task trains in", "train")
    for index, language, without in shown:
        for task in without:
            names = _training_languages(task) or ["none"]
            text = f"{task.name}: {unknown_name('training language', language, names)}"
            problems.append(Problem(location=f"train[{index}]", text=text))
    return [*problems, *rest]


def _training_languages(task: Task) -> list[str]:
    return [split.language for split in task.training_splits() if split.language]
