"""A generated toy task that needs no files: is the subject of a sentence singular or plural?

`data.readers.toy_grammar` generates the sentences.
"""

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
