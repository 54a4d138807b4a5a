"""A toy task, generated and needing no files: is the subject singular or plural? Holds the row
only; the sentences are made by the reader."""

from .task import Split, Task

TASKS = (
    Task(
        name="toy/grammar",
        head="classify",
        inputs=("sentence",),
        labels=("singular", "plural"),
        metric="accuracy",
        reader="generated",
        folder="",
        train=Split(name="train"),
        dev=(Split(name="dev"),),
        test=(Split(name="test", labelled=False),),
    ),
)
