"""CommonsenseQA (Talmor et al., 2019), in the random split that papers report.

Files have the names of the data set's own site.
"""

from .task import File, Split, Task

TASKS = (
    Task(
        name="csqa/rand",
        head="choose",
        inputs=("passage", "options"),
        metric="accuracy",
        reader="commonsense_qa",
        layout="numbered",
        folder="CommonsenseQA",
        train=Split(name="train", files=(File(path="train_rand_split.jsonl"),)),
        dev=(Split(name="dev", files=(File(path="dev_rand_split.jsonl"),)),),
        test=(
            Split(
                name="test",
                files=(File(path="test_rand_split_no_answers.jsonl"),),
                labelled=False,
                submission="CommonsenseQA.tsv",
            ),
        ),
    ),
)
