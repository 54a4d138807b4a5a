"""The ten tasks of GLUE (Wang et al., 2019).

Files have the layout that the benchmark's download script leaves. A module per benchmark holds
names of files and columns; `data.readers` reads them.
"""

from .task import File, IdList, Split, Task

Columns = dict[str, str | int]

BINARY = ("0", "1")
ENTAILMENT = ("entailment", "not_entailment")

# The tasks that papers average. WNLI and the diagnostic set are left out; MNLI counts once, with
# its matched split.
AVERAGED = (
    "glue/mnli",
    "glue/qqp",
    "glue/qnli",
    "glue/sst2",
    "glue/cola",
    "glue/rte",
    "glue/mrpc",
    "glue/stsb",
)


def _split(name: str, path: str, columns: Columns, *, bad_rows: int = 0) -> Split:
    return Split(name=name, files=(File(path=path, columns=columns, tolerated_bad_rows=bad_rows),))


def _test(submission: str, columns: Columns, *, name: str = "test", path: str = "") -> Split:
    unlabelled = {key: column for key, column in columns.items() if key != "label"}
    files = (File(path=path or f"{name}.tsv", columns=unlabelled),)
    return Split(name=name, files=files, labelled=False, submission=submission)


def _pairs(label: str = "label") -> Columns:
    return {"id": "index", "sentence1": "sentence1", "sentence2": "sentence2", "label": label}


_INDEXED: Columns = {"id": "index", "sentence": "sentence"}
_SST2: Columns = {"sentence": "sentence", "label": "label"}


def _cola(name: str) -> Split:
    file = File(path=f"{name}.tsv", columns={"sentence": 3, "label": 1}, header=False)
    return Split(name=name, files=(file,))


_MRPC: Columns = {"sentence1": "#1 String", "sentence2": "#2 String", "label": "Quality"}
_MRPC_TEST: Columns = {"sentence1": "#1 String", "sentence2": "#2 String"}


def _mrpc(name: str, *, listed: bool) -> Split:
    """Return a split of MRPC: as GLUE's script writes it, or in Microsoft's original file.

    The original has no dev split: GLUE lists the ids of its rows.

    Args:
        name: "train" or "dev".
        listed: whether GLUE's list of dev ids names the rows of this split.
    """
    dev_ids = IdList(path="dev_ids.tsv", columns=("#1 ID", "#2 ID"), inside=listed)
    original = File(path="msr_paraphrase_train.txt", columns=_MRPC, kept_ids=dev_ids)
    return Split(name=name, files=(File(path=f"{name}.tsv", columns=_MRPC), original))


_STSB = _pairs("score")
# Some questions hold line breaks, which break their rows; every published system drops them.
_QQP: Columns = {
    "id": "id",
    "question1": "question1",
    "question2": "question2",
    "label": "is_duplicate",
}
_QQP_BAD_ROWS = 100
_MNLI = _pairs("gold_label")
_QNLI: Columns = {
    "id": "index",
    "question": "question",
    "sentence": "sentence",
    "label": "label",
}
_NLI = _pairs()

TASKS = (
    Task(
        name="glue/mnli",
        head="classify",
        inputs=("sentence1", "sentence2"),
        labels=("entailment", "neutral", "contradiction"),
        metric="accuracy",
        folder="MNLI",
        train=_split("train", "train.tsv", _MNLI),
        dev=(
            _split("matched", "dev_matched.tsv", _MNLI),
            _split("mismatched", "dev_mismatched.tsv", _MNLI),
        ),
        test=(
            _test("MNLI-m.tsv", _MNLI, name="test_matched"),
            _test("MNLI-mm.tsv", _MNLI, name="test_mismatched"),
        ),
    ),
    Task(
        name="glue/qqp",
        head="classify",
        inputs=("question1", "question2"),
        labels=BINARY,
        metric="accuracy",
        extra_metrics=("f1",),
        folder="QQP",
        train=_split("train", "train.tsv", _QQP, bad_rows=_QQP_BAD_ROWS),
        dev=(_split("dev", "dev.tsv", _QQP, bad_rows=_QQP_BAD_ROWS),),
        test=(_test("QQP.tsv", _QQP),),
    ),
    Task(
        name="glue/qnli",
        head="classify",
        inputs=("question", "sentence"),
        labels=ENTAILMENT,
        metric="accuracy",
        folder="QNLI",
        train=_split("train", "train.tsv", _QNLI),
        dev=(_split("dev", "dev.tsv", _QNLI),),
        test=(_test("QNLI.tsv", _QNLI),),
    ),
    Task(
        name="glue/sst2",
        head="classify",
        inputs=("sentence",),
        labels=BINARY,
        metric="accuracy",
        folder="SST-2",
        train=_split("train", "train.tsv", _SST2),
        dev=(_split("dev", "dev.tsv", _SST2),),
        test=(_test("SST-2.tsv", _INDEXED),),
    ),
    Task(
        name="glue/cola",
        head="classify",
        inputs=("sentence",),
        labels=BINARY,
        metric="mcc",
        extra_metrics=("accuracy",),
        folder="CoLA",
        train=_cola("train"),
        dev=(_cola("dev"),),
        test=(_test("CoLA.tsv", _INDEXED),),
    ),
    Task(
        name="glue/rte",
        head="classify",
        inputs=("sentence1", "sentence2"),
        labels=ENTAILMENT,
        metric="accuracy",
        folder="RTE",
        train=_split("train", "train.tsv", _NLI),
        dev=(_split("dev", "dev.tsv", _NLI),),
        test=(_test("RTE.tsv", _NLI),),
    ),
    Task(
        name="glue/mrpc",
        head="classify",
        inputs=("sentence1", "sentence2"),
        labels=BINARY,
        metric="accuracy",
        extra_metrics=("f1",),
        folder="MRPC",
        train=_mrpc("train", listed=False),
        dev=(_mrpc("dev", listed=True),),
        test=(
            Split(
                name="test",
                files=(
                    File(path="test.tsv", columns={"id": "index", **_MRPC_TEST}),
                    File(path="msr_paraphrase_test.txt", columns=_MRPC_TEST),
                ),
                labelled=False,
                submission="MRPC.tsv",
            ),
        ),
    ),
    Task(
        name="glue/stsb",
        head="regress",
        inputs=("sentence1", "sentence2"),
        metric="pearson_spearman",
        extra_metrics=("pearson", "spearman"),
        bounds=(0.0, 5.0),
        folder="STS-B",
        train=_split("train", "train.tsv", _STSB),
        dev=(_split("dev", "dev.tsv", _STSB),),
        test=(_test("STS-B.tsv", _STSB),),
    ),
    Task(
        name="glue/wnli",
        head="classify",
        inputs=("sentence1", "sentence2"),
        labels=BINARY,
        metric="accuracy",
        folder="WNLI",
        train=_split("train", "train.tsv", _NLI),
        dev=(_split("dev", "dev.tsv", _NLI),),
        test=(_test("WNLI.tsv", _NLI),),
    ),
    Task(
        name="glue/ax",
        head="classify",
        inputs=("sentence1", "sentence2"),
        labels=("entailment", "neutral", "contradiction"),
        metric="mcc",
        folder="diagnostic",
        train=None,
        test=(_test("AX.tsv", _NLI, path="diagnostic.tsv"),),
        predicted_by="glue/mnli",
    ),
)
