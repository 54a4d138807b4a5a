"""What the splits of XTREME's tasks have in common: a name and a language, and where translations
of the training sets lie."""

from typing import Any

from ..task import File, Split

TRANSLATIONS = ("xtreme/xtreme_translations", "xtreme_translations")


def ordered(languages: str) -> list[str]:
    """Codes between spaces: English, which selects, before the others."""
    return sorted(languages.split(), key=lambda language: (language != "en", language))


def foreign(languages: str) -> list[str]:
    """All but English."""
    return ordered(languages)[1:]


def train(*files: File, language: str = "en", name: str = "train") -> Split:
    """A training set."""
    return Split(name=name, files=files, language=language)


def translated(language: str, *files: File) -> Split:
    """A machine translation of the English training set."""
    return train(*files, language=language, name=f"translated-{language}")


def translations(path: str, **facts: Any) -> tuple[File, ...]:
    """A file of XTREME's folder of translations, wherever that lies."""
    return tuple(File(path=path, folder=folder, **facts) for folder in TRANSLATIONS)


def dev(language: str, *files: File) -> Split:
    """A development set, called by its language."""
    return Split(name=language, files=files, language=language)


def test(folder: str, language: str, *files: File) -> Split:
    """A test set, and where XTREME's evaluator looks for its predictions."""
    kind = "json" if files[0].path.endswith(".json") else "tsv"
    return Split(
        name=f"test-{language}",
        files=files,
        labelled=False,
        submission=f"{folder}/test-{language}.{kind}",
        gold=True,
        language=language,
    )
