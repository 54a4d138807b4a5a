"""Makes the splits of XTREME's tasks.

All tasks share the names of splits and the folder of translated training sets.
"""

from typing import Any

from ..task import File, Split

TRANSLATIONS = ("xtreme/xtreme_translations", "xtreme_translations")


def ordered(languages: str) -> list[str]:
    """Return the codes of a text in order: English, which selects, then the others."""
    return sorted(languages.split(), key=lambda language: (language != "en", language))


def foreign(languages: str) -> list[str]:
    """Return the codes of a text in order, without English."""
    return ordered(languages)[1:]


def train(*files: File, language: str = "en", name: str = "train") -> Split:
    """Return a training set."""
    return Split(name=name, files=files, language=language)


def translated(language: str, *files: File) -> Split:
    """Return a machine translation of the English training set."""
    return train(*files, language=language, name=f"translated-{language}")


def translations(path: str, **options: Any) -> tuple[File, ...]:
    """Return a file of XTREME's folder of translations, for each location of that folder.

    Args:
        path: the file, under the folder.
        options: further arguments of `File`.
    """
    return tuple(File(path=path, folder=folder, **options) for folder in TRANSLATIONS)


def dev(language: str, *files: File) -> Split:
    """Return a dev split, named by its language."""
    return Split(name=language, files=files, language=language)


def test(folder: str, language: str, *files: File) -> Split:
    """Return a test split; XTREME's evaluator reads its predictions under `folder`."""
    extension = "json" if files[0].path.endswith(".json") else "tsv"
    return Split(
        name=f"test-{language}",
        files=files,
        labelled=False,
        submission=f"{folder}/test-{language}.{extension}",
        gold=True,
        language=language,
    )
