"""Machine translations of a task's English training set, found by what they translate. Knows
XTREME's folder of translations and the formats in it, and no tokens."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random

from .. import readers
from ..readers import Faults
from ..readers.places import home, place
from ..tasks.task import Split, Task
from ..tasks.xtreme.splits import TRANSLATIONS
from .faults import close
from .stored import Stored, store

ENGLISH = "en"
# What stabletune leaves out where words are tagged: English, and what is written without spaces or
# came out badly.
NOT_TAGGED = frozenset({"en", "zh-CN", "zh", "ja", "ko", "th", "my", "ml", "ta"})


def located(task: Task, root: Path) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Of a task of pairs or questions: language -> its translations; the languages without any."""
    found, lacking = {}, []
    for language, split in _translated(task).items():
        files = [file for file in split.files if file.folder in TRANSLATIONS]
        paths = [place(task, file, root) for file in files]
        if path := next((path for path in paths if path.is_file()), None):
            found[language] = path
        else:
            lacking.append(language)
    return found, tuple(lacking)


def located_sentences(task: Task, root: Path) -> Path | None:
    """Of a task of tagged words: the one file of all translations; None where there is none.

    It is no part of XTREME: stabletune's authors made it.
    """
    name = f"translate_train.{Path(task.folder).name}.txt"
    folders = [*(root / folder for folder in TRANSLATIONS), home(task, root)]
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def _translated(task: Task) -> dict[str, Split]:
    trains = task.trains
    return {s.language: s for s in trains if s.language and s.name == f"translated-{s.language}"}


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Pairs of sentences in other languages, which stay on the disk.

    Attributes:
        stored: language -> its rows, found by either English sentence.
    """

    stored: Mapping[str, Stored]

    def draw(
        self, first: str, second: str, random: Random, *, shown: str = ENGLISH
    ) -> tuple[str, str, str] | None:
        """A language, and both sentences in it; None where none has both.

        Every language that has both is as likely as the others; of several translations of a
        sentence each is. A language already shown gives the English sentences themselves.

        Args:
            first, second: the English sentences.
            shown: the language of the example that another view is wanted of.
        """
        languages = sorted(self.stored)
        random.shuffle(languages)
        for language in languages:
            if language == shown:
                return ENGLISH, first, second
            found = [self._sentence(language, text, random) for text in (first, second)]
            if all(found):
                return language, *found
        return None

    def _sentence(self, language: str, text: str, random: Random) -> str | None:
        found = self.stored[language].draw(text, random)
        return found and found.columns[2 + found.side].strip()


def read_pairs(files: Mapping[str, Path], root: Path, spare: int = 0) -> Pairs:
    """Translations of pairs, five columns: both sentences in English, both translated, the label.

    Args:
        files: language -> path, see `located`.
        root: the folder that an error is of.
        spare: how many broken rows may be left out.

    Raises:
        InputError: every broken row with its file and line.
    """
    faults = {path: Faults(source=str(path)) for path in files.values()}
    stored = {one: store(path, _pair, faults[path]) for one, path in files.items()}
    close(root, faults, spare)
    return Pairs(stored=stored)


def _pair(columns: list[str]) -> Sequence[str] | str:
    """What a row is found by; or what is wrong with it."""
    if len(columns) != 5:
        text = f"{len(columns)} columns where two sentences, their translations and a label should"
        old = "; early files have no English, XTREME's present ones do" if len(columns) == 3 else ""
        return f"{text} be{old}"
    for at, column in enumerate(columns[:4], 1):
        if not column.strip():
            return f"column {at} is empty"
    return columns[:2]


@dataclass(frozen=True, kw_only=True)
class Sentences:
    """Translations of tagged sentences, whose words have no tags; they stay on the disk.

    Attributes:
        stored: rows, found by the English words with spaces between them.
        languages: those that are there and wanted.
    """

    stored: Stored
    languages: frozenset[str]

    def draw(self, words: Sequence[str], random: Random) -> list[str] | None:
        """The words of a translation, in each language that has one alike; None for none."""
        found = self.stored.draw(" ".join(words), random)
        return found and _words(found.columns[2])


def read_sentences(path: Path, languages: Iterable[str], spare: int = 0) -> Sentences:
    """Translations of tagged sentences: the sentence, a language, the translation, and, which is
    not read, how their words are aligned.

    Args:
        languages: those of the task; what `NOT_TAGGED` names of them is left out.
        spare: how many broken rows may be left out.

    Raises:
        InputError: every broken row with its line.
    """
    wanted, seen = frozenset(languages) - NOT_TAGGED, set()

    def sentence(columns: list[str]) -> Sequence[str] | str:
        if len(columns) not in (3, 4):
            text = "columns where a sentence, a language and its translation should be"
            return f"{len(columns)} {text}"
        source, language, translation = columns[:3]
        if not source.strip():
            return "no sentence"
        if not _words(translation):
            return "no translation"
        if language not in wanted:
            return ()
        seen.add(language)
        return (source,)

    faults = Faults(source=str(path))
    stored = store(path, sentence, faults)
    faults.close(spare)
    return Sentences(stored=stored, languages=frozenset(seen))


def _words(text: str) -> list[str]:
    return [word for word in text.strip().split(" ") if word]


@dataclass(frozen=True, kw_only=True)
class Questions:
    """The ids of translated questions.

    Attributes:
        ids: language -> ids, in the file's order.
    """

    ids: Mapping[str, tuple[str, ...]]

    @cached_property
    def _known(self) -> dict[str, frozenset[str]]:
        return {language: frozenset(ids) for language, ids in self.ids.items()}

    def draw(self, identity: str | None, random: Random) -> tuple[str, str]:
        """A language, each as likely, and this id, or any of those that it has.

        Args:
            identity: None, or one that the language lacks, draws any.
        """
        languages = sorted(self.ids)
        language = languages[random.randrange(len(languages))]
        if identity in self._known[language]:
            return language, identity
        ids = self.ids[language]
        return language, ids[random.randrange(len(ids))]


def read_questions(task: Task, root: Path, languages: Iterable[str], spare: int = 0) -> Questions:
    """Ids of the translated training sets of a task of questions.

    TyDiQA's are counted, and match those of the English set by chance only.

    Raises:
        InputError: a file is missing or broken.
    """
    splits, one = _translated(task), {}  # one copy of an id for all languages
    ids = {}
    for language in sorted(languages):
        read = readers.read(task, splits[language], root, spare=spare)
        ids[language] = tuple(one.setdefault(example["id"], example["id"]) for example in read)
    return Questions(ids=ids)
