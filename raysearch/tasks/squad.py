"""The two published versions of SQuAD (Rajpurkar et al., 2016 and 2018).

The test sets are hidden, therefore papers report the dev set.
"""

from .task import File, Split, Task


def _split(name: str, version: str, *, submission: str | None = None) -> Split:
    return Split(name=name, files=(File(path=f"{name}-{version}.json"),), submission=submission)


TASKS = (
    Task(
        name="squad/v1.1",
        head="span",
        inputs=("question", "context"),
        metric="f1",
        extra_metrics=("exact",),
        reader="squad",
        layout="json",
        folder="squad",
        train=_split("train", "v1.1"),
        dev=(_split("dev", "v1.1", submission="v1.1/predictions.json"),),
    ),
    # best_f1 and best_exact use the threshold that is best on the dev set itself, as in papers;
    # f1 and exact use the threshold that the study fixes.
    Task(
        name="squad/v2.0",
        head="span",
        inputs=("question", "context"),
        metric="best_f1",
        extra_metrics=(
            "best_exact",
            "f1",
            "exact",
            "has_answer_f1",
            "has_answer_exact",
            "no_answer_f1",
            "no_answer_exact",
        ),
        reader="squad",
        layout="json",
        folder="squad",
        train=_split("train", "v2.0"),
        dev=(_split("dev", "v2.0", submission="v2.0/predictions.json"),),
        unanswerable=True,
    ),
)
