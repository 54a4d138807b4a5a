"""XTREME's questions on a text: XQuAD (Artetxe et al., 2020), MLQA (Lewis et al., 2020) and
TyDiQA-GoldP (Clark et al., 2020), all in SQuAD 1.1's format."""

from ..task import File, Split, Task
from .splits import dev, foreign, ordered, test, train, translated, translations

MLQA = "en es de ar hi vi zh"
XQUAD = "ar de el en es hi ru th tr vi zh"
TYDIQA = "en ar bn fi id ko ru sw te"


def _squad(name: str) -> tuple[File, ...]:
    """SQuAD 1.1 in the task's own folder, beside it, or where the task squad/v1.1 has it."""
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
    """The flat file, or the place that it has in MLQA's archive."""
    name = f"{split}-context-{language}-question-{language}.json"
    return tuple(File(path=f"{place}{name}") for place in ("", f"MLQA_V1/{split}/"))


def _tydiqa(split: str, language: str) -> tuple[File, ...]:
    """XTREME's file under its two names, flat and in the archive's folder.

    The training ids are the last part of the original ones and do not tell questions apart.
    """
    names = (f"tydiqa.goldp.{language}.{split}.json", f"tydiqa.{language}.{split}.json")
    places = ("", f"tydiqa-goldp-v1.1-{split}/")
    numbered = split == "train"
    return tuple(File(path=p + name, numbered=numbered) for p in places for name in names)


def _translated_tydiqa(language: str) -> Split:
    names = (f"{begin}.translate.train.en-{language}.json" for begin in ("tydiqa", "tydiqa.goldp"))
    paths = (f"TyDiQA-GoldP/translate-train/{name}" for name in names)
    files = (file for path in paths for file in translations(path, numbered=True))
    return translated(language, *files)


def _task(name: str, *, trains: tuple[Split, ...], dev: tuple[Split, ...], **rest: object) -> Task:
    return Task(
        name=name,
        head="span",
        inputs=("question", "context"),
        metric="f1",
        extra_metrics=("exact",),
        reader="squad",
        layout="json",
        folder=name,
        translated_train=trains,
        dev=dev,
        **rest,
    )


TASKS = (
    _task(
        "xtreme/mlqa",
        train=train(*_squad("train")),
        trains=tuple(_translated_squad(code) for code in foreign(MLQA)),
        dev=tuple(dev(code, *_mlqa("dev", code)) for code in ordered(MLQA)),
        test=tuple(test("mlqa", code, *_mlqa("test", code)) for code in ordered(MLQA)),
        by_language=True,
    ),
    # XQuAD is a test set and nothing else. XTREME selects on SQuAD's dev set, which is English;
    # xTune reports the last weights instead, having no set of the task to select on.
    _task(
        "xtreme/xquad",
        train=train(*_squad("train")),
        trains=tuple(_translated_squad(code) for code in foreign(XQUAD)),
        dev=(dev("en", *_squad("dev")),),
        test=tuple(test("xquad", code, File(path=f"xquad.{code}.json")) for code in ordered(XQUAD)),
    ),
    # TyDiQA's dev set is what XTREME tests on, and hands out without answers: only the data set's
    # own files can select. xTune selects on their English part; so does this row, and the other
    # languages are reported from them.
    _task(
        "xtreme/tydiqa",
        train=train(*_tydiqa("train", "en")),
        trains=(
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
