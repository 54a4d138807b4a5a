"""XTREME's tagging tasks: entities (PAN-X; Pan et al., 2017) and parts of speech (UD).

The latter are from Universal Dependencies. Most languages have a training set of their own.
"""

from collections.abc import Callable

from ..task import File, Task
from .splits import dev, foreign, ordered, test, train

PANX = (
    "ar he vi id jv ms tl eu ml ta te af nl en de el bn hi mr ur "
    "fa fr it pt es bg ru ja ka ko th sw yo my zh kk tr et fi hu"
)
UDPOS = (
    "af ar bg de el en es et eu fa fi fr he hi hu id it ja kk ko mr nl pt ru ta te th tl tr ur "
    "vi yo zh"
)

ENTITIES = ("B-LOC", "B-ORG", "B-PER", "I-LOC", "I-ORG", "I-PER", "O")
PARTS_OF_SPEECH = (
    "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN",
    "PUNCT", "SCONJ", "SYM", "VERB", "X",
)  # fmt: skip


def _panx(split: str, language: str) -> tuple[File, File]:
    """Return XTREME's file, and that of PAN-X, where every word has its language as a prefix."""
    original = File(path=f"panx_dataset/{language}/{split}", prefix=f"{language}:")
    return File(path=f"{split}-{language}.tsv"), original


def _udpos(split: str, language: str) -> tuple[File]:
    return (File(path=f"{split}-{language}.tsv"),)


def _task(
    folder: str,
    languages: str,
    files: Callable[[str, str], tuple[File, ...]],
    labels: tuple[str, ...],
    metric: str,
) -> Task:
    return Task(
        name=f"xtreme/{folder}",
        head="tag",
        inputs=("words",),
        labels=labels,
        metric=metric,
        extra_metrics=("token_accuracy",),
        reader="words",
        layout="lines",
        folder=f"xtreme/{folder}",
        train=train(*files("train", "en")),
        translated_train=tuple(
            train(*files("train", code), language=code, name=f"train-{code}")
            for code in foreign(languages)
        ),
        dev=tuple(dev(code, *files("dev", code)) for code in ordered(languages)),
        test=tuple(test(folder, code, *files("test", code)) for code in ordered(languages)),
    )


# XTREME's scripts give parts of speech an 18th label, "O", which no word has.
TASKS = (
    _task("panx", PANX, _panx, ENTITIES, "entity_f1"),
    _task("udpos", UDPOS, _udpos, PARTS_OF_SPEECH, "pos_f1"),
)
