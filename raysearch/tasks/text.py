"""Plain text for pre-training with masked tokens.

Its files have fixed names in the folder `text` of the data root.
"""

from .task import File, Split, Task


def _split(name: str, submission: str | None = None) -> Split:
    files = (File(path=f"{name}.txt"), File(path=name))
    return Split(name=name, files=files, labelled=False, submission=submission)


TASKS = (
    Task(
        name="text/lines",
        head="thought",
        inputs=("text",),
        metric="masked_accuracy",
        extra_metrics=("masked_likelihood",),
        reader="text",
        folder="text",
        train=_split("train"),
        dev=(_split("dev"),),
        test=(_split("test", submission="embeddings.parquet"),),
    ),
)
