"""The folders of weights that a run holds, and their bytes.

It is apart from `resources`, which knows lanes and disks, because it follows from the study alone.
"""

import shutil
from pathlib import Path

from ..storage import existing_part
from ..study import Study
from .model_files import model_size
from .resources import RESERVED_BYTES


def weight_folders(study: Study) -> int:
    """Return the most folders of weights that one disk holds at once, the one being written too."""
    return _while_searching(study) + 1


def weights_note(study: Study) -> list[str]:
    """Return what the weights of all confirmed seeds take, in a line; nothing if none are kept."""
    if study.search.keep_weights != "confirmed":
        return []
    seeds = len(study.confirm.seeds)
    models = [study.resolve(name).model for name in study.tasks]
    sizes = {name: model_size(name) for name in {*models}}
    text = f"weights of {seeds} seeds are kept for each task (search.keep_weights):"
    text += f" at most {weight_folders(study)} folders at once, {seeds * len(models)} at the end"
    if not all(sizes.values()):
        return [f"{text}; each as large as its model, whose size is not known here"]
    end = seeds * sum(sizes[model] for model in models)
    most = weight_folders(study) * max(sizes[model] for model in models)
    return [f"{text}; about {_in_words(most)} and {_in_words(end)} on the disk of the run folder"]


def disk_note(study: Study, folder: Path) -> str:
    """Return what a run takes on its disk at most, and what is free there, in a line."""
    count, sizes = weight_folders(study), [model_size(model) for model in study.models]
    text = f"at most {count} folders of weights at once"
    known = f", {_in_words(count * max(sizes))}" if all(sizes) else ", whose size is not known here"
    free = _in_words(shutil.disk_usage(existing_part(folder)).free)
    return f"{text}{known}, and {_in_words(RESERVED_BYTES)} for all else; {free} free"


def _while_searching(study: Study) -> int:
    """Return the most folders of trials that may win, in all tasks that can wait for the end.

    Where tasks start from winners with `seed: same`, all tasks count with their seeds.
    """
    confirm = study.confirm
    competing = confirm.top if confirm.seeds and not confirm.choose else 1
    others = len(study.tasks) - 1  # their winners stay until the run ends
    starts = [part.start for part in study.per_task.values() if part.start]
    each_seed = study.search.keep_weights == "confirmed" or any(start.seed for start in starts)
    return (competing + others) * (len(confirm.seeds) if each_seed else 1)


def _in_words(size: int) -> str:
    """Return a number of bytes as text, such as "1.3 GiB"."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{max(1, size >> 20):,} MiB"
