"""XTREME's tasks of question answering, all in the format of SQuAD 1.1.

They are XQuAD (Artetxe et al., 2020), MLQA (Lewis et al., 2020) and TyDiQA-GoldP (Clark et al.,
2020).
"""

from ..task import File, Split, Task
from .splits import dev, foreign, ordered, test, train, translated, translations

MLQA = "en es de ar hi vi zh"
XQUAD = "ar de el en es hi ru th tr vi zh"
TYDIQA = "en ar bn fi id ko ru sw te"


def _squad(name: str) -> tuple[File, ...]:
    """Return SQuAD 1.1 in the task's folder, in xtreme/squad, or in that of task squad/v1.1."""
    file = f"{name}-v1.1.json"
    return (
        File(path=f"squad1.1/{file}"),
        File(path=file, folder="xtreme/squad"),
        File(path=file, folder="squad"),
    )


def _translated_squad(language: str) -> Split:
    path = f"SQuAD/translate-train/squad.translate.train.en-{language}.json"
    return translated(language, *translations(path))


def _mlqa(split: str, language: str) -> tuple[File, ...]:
    """Return the flat file, and the same file in MLQA's archive."""
    name = f"{split}-context-{language}-question-{language}.json"
    return tuple(File(path=f"{folder}{name}") for folder in ("", f"MLQA_V1/{split}/"))


def _tydiqa(split: str, language: str) -> tuple[File, ...]:
    """Return XTREME's file under its two names, flat and in the archive's folder.

    Training ids are the last part of the original ones and not unique.
    """
    names = (f"tydiqa.goldp.{language}.{split}.json", f"tydiqa.{language}.{split}.json")
    folders = ("", f"tydiqa-goldp-v1.1-{split}/")
    numbered = split == "train"
    return tuple(File(path=f + name, numbered=numbered) for f in folders for name in names)


def _translated_tydiqa(language: str) -> Split:
    prefixes = ("tydiqa", "tydiqa.goldp")
    names = (f"{prefix}.translate.train.en-{language}.json" for prefix in prefixes)
    paths = (f"TyDiQA-GoldP/translate-train/{name}" for name in names)
    files = (file for path in paths for file in translations(path, numbered=True))
    return translated(language, *files)


def _task(
    name: str,
    *,
    train: Split,
    translated_train: tuple[Split, ...],
    dev: tuple[Split, ...],
    test: tuple[Split, ...],
    by_language: bool = False,
) -> Task:
    return Task(
        name=name,
        head="span",
        inputs=("question", "context"),
        metric="f1",
        extra_metrics=("exact",),
        reader="squad",
        layout="json",
        folder=name,
        train=train,
        translated_train=translated_train,
        dev=dev,
        test=test,
        by_language=by_language,
    )


TASKS = (
    _task(
        "xtreme/mlqa",
        train=train(*_squad("train")),
        translated_train=tuple(_translated_squad(code) for code in foreign(MLQA)),
        dev=tuple(dev(code, *_mlqa("dev", code)) for code in ordered(MLQA)),
        test=tuple(test("mlqa", code, *_mlqa("test", code)) for code in ordered(MLQA)),
        by_language=True,
    ),
    # XQuAD is only a test set. XTREME selects on SQuAD's dev set, which is English; xTune reports
    # the last weights instead, because the task has no set to select on.
    _task(
        "xtreme/xquad",
        train=train(*_squad("train")),
        translated_train=tuple(_translated_squad(code) for code in foreign(XQUAD)),
        dev=(dev("en", *_squad("dev")),),
        test=tuple(test("xquad", code, File(path=f"xquad.{code}.json")) for code in ordered(XQUAD)),
    ),
    # TyDiQA's dev set is XTREME's test set, which XTREME publishes without answers: only the files
    # of the data set itself can select. As in xTune, their English part selects; scores of the
    # other languages are reported.
    _task(
        "xtreme/tydiqa",
        train=train(*_tydiqa("train", "en")),
        translated_train=(
            *(
                train(*_tydiqa("train", code), language=code, name=f"train-{code}")
                for code in foreign(TYDIQA)
            ),
            *(_translated_tydiqa(code) for code in foreign(TYDIQA)),
        ),
        dev=tuple(dev(code, *_tydiqa("dev", code)) for code in ordered(TYDIQA)),
        test=tuple(test("tydiqa", code, *_tydiqa("dev", code)) for code in ordered(TYDIQA)),
    ),
)
