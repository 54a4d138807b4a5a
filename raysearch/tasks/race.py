"""The tasks of RACE (Lai et al., 2017): passages of two school levels.

Files have the folders of the data set's own archive.
"""

from .task import File, Split, Task

LEVELS = ("middle", "high")


def _split(name: str, part: str, *levels: str) -> Split:
    """Return a split. Test files hold labels, which a search must not read.

    Args:
        name: of the split.
        part: the folder of the archive: "train", "dev" or "test".
        levels: its subfolders.
    """
    file = File(path=part, parts=levels)
    if part != "test":
        return Split(name=name, files=(file,))
    submission = name.replace("test", "preds") + ".tsv"
    return Split(name=name, files=(file,), labelled=False, gold=True, submission=submission)


def _task(name: str, *levels: str) -> Task:
    """Return a task of one or more levels.

    Several levels together are the first dev split, which selects. Each is also a split of its
    own; the accuracy of the first is their mean, weighted by the number of examples.
    """
    separate = levels if len(levels) > 1 else ()
    return Task(
        name=name,
        head="choose",
        inputs=("passage", "question", "options"),
        metric="accuracy",
        reader="race",
        layout="numbered",
        folder="race",
        train=_split("train", "train", *levels),
        dev=(_split("dev", "dev", *levels), *(_split(level, "dev", level) for level in separate)),
        test=(
            _split("test", "test", *levels),
            *(_split(f"test_{level}", "test", level) for level in separate),
        ),
    )


TASKS = (
    *(_task(f"race/{level}", level) for level in LEVELS),
    _task("race/all", *LEVELS),
)
