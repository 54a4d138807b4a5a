"""XTREME's tasks of sentence pairs: XNLI (Conneau et al., 2018) and PAWS-X (Yang et al., 2019).

XNLI's archive holds all languages in one file, PAWS-X's a folder for each.
"""

from ..task import File, Task
from .splits import dev, foreign, ordered, test, train, translated, translations

XNLI = "ar bg de el en es fr hi ru sw th tr ur vi zh"
PAWSX = "de en es fr ja ko zh"

Columns = dict[str, str | int]
# XTREME's files have no header. Its translations are in the columns after their originals.
_PAIR: Columns = {"sentence1": 0, "sentence2": 1, "label": 2}
_TRANSLATION: Columns = {"sentence1": 2, "sentence2": 3, "label": 4}
_XNLI: Columns = {"sentence1": "sentence1", "sentence2": "sentence2", "label": "gold_label"}
_MULTINLI: Columns = {"sentence1": "premise", "sentence2": "hypo", "label": "label"}
_PAWSX: Columns = {"sentence1": "sentence1", "sentence2": "sentence2", "label": "label"}


def _flat(split: str, language: str) -> File:
    return File(path=f"{split}-{language}.tsv", columns=_PAIR, header=False)


def _translations(folder: str, language: str) -> tuple[File, ...]:
    path = f"{folder}/translate-train/en-{language}-translated.tsv"
    return translations(path, columns=_TRANSLATION, header=False)


def _xnli(split: str, language: str) -> tuple[File, File]:
    """Return XTREME's file, and that of XNLI-1.0, which holds all languages."""
    where = ("language", language)
    archive = File(path=f"XNLI-1.0/xnli.{split}.tsv", columns=_XNLI, where=where)
    return _flat(split, language), archive


def _multinli(language: str) -> File:
    """Return a file of XNLI-MT-1.0: MultiNLI or a translation. It spells one label differently."""
    path = f"XNLI-MT-1.0/multinli/multinli.train.{language}.tsv"
    return File(path=path, columns=_MULTINLI, label_aliases={"contradictory": "contradiction"})


def _pawsx(name: str, language: str) -> File:
    """Return a file of PAWS-X's archive."""
    return File(path=f"x-final/{language}/{name}.tsv", columns=_PAWSX)


TASKS = (
    Task(
        name="xtreme/xnli",
        head="classify",
        inputs=("sentence1", "sentence2"),
        labels=("contradiction", "entailment", "neutral"),
        metric="accuracy",
        layout="lines",
        folder="xtreme/xnli",
        train=train(_flat("train", "en"), _multinli("en")),
        translated_train=tuple(
            translated(code, *_translations("XNLI", code), _multinli(code))
            for code in foreign(XNLI)
        ),
        dev=tuple(dev(code, *_xnli("dev", code)) for code in ordered(XNLI)),
        test=tuple(test("xnli", code, *_xnli("test", code)) for code in ordered(XNLI)),
    ),
    Task(
        name="xtreme/pawsx",
        head="classify",
        inputs=("sentence1", "sentence2"),
        labels=("0", "1"),
        metric="accuracy",
        layout="lines",
        folder="xtreme/pawsx",
        train=train(_flat("train", "en"), _pawsx("train", "en")),
        translated_train=tuple(
            translated(code, *_translations("PAWSX", code), _pawsx("translated_train", code))
            for code in foreign(PAWSX)
        ),
        dev=tuple(dev(code, _flat("dev", code), _pawsx("dev_2k", code)) for code in ordered(PAWSX)),
        test=tuple(
            test("pawsx", code, _flat("test", code), _pawsx("test_2k", code))
            for code in ordered(PAWSX)
        ),
    ),
)
