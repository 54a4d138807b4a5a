"""RACE (Lai et al., 2017): passages of two levels of school, in the folders of its own archive."""

from .task import File, Split, Task

LEVELS = ("middle", "high")


def _split(name: str, part: str, *levels: str) -> Split:
    """`part` is "train", "dev" or "test". The archive's test files hold labels; a search must not
    read them."""
    file = File(path=part, parts=levels)
    if part != "test":
        return Split(name=name, files=(file,))
    submission = name.replace("test", "preds") + ".tsv"
    return Split(name=name, files=(file,), labelled=False, gold=True, submission=submission)


def _task(name: str, *levels: str) -> Task:
    """Several levels are one split, which selects, and a split each: the accuracy of the first is
    the mean of the others weighted by their examples."""
    several = levels if len(levels) > 1 else ()
    return Task(
        name=name,
        head="choose",
        inputs=("passage", "question", "options"),
        metric="accuracy",
        reader="race",
        layout="numbered",
        folder="race",
        train=_split("train", "train", *levels),
        dev=(_split("dev", "dev", *levels), *(_split(level, "dev", level) for level in several)),
        test=(
            _split("test", "test", *levels),
            *(_split(f"test_{level}", "test", level) for level in several),
        ),
    )


TASKS = (
    *(_task(f"race/{level}", level) for level in LEVELS),
    _task("race/all", *LEVELS),
)
