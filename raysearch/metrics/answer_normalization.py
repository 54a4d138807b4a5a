"""When two answers are the same: the rules by which the official evaluators of SQuAD and MLQA make
texts comparable. Knows strings only."""

import re
import string
import unicodedata
from collections.abc import Callable
from functools import partial

from ..errors import InputError, Problem, unknown_name

Normalizer = Callable[[str], str]

_ASCII = str.maketrans("", "", string.punctuation)
_ENGLISH = re.compile(r"\b(?:a|an|the)\b")
_GERMAN = "ein eine einen einem eines einer der die das den dem des"
_SPANISH = "un una unos unas el la los las"
_VIETNAMESE = "của là cái chiếc những"
_CHINESE = re.compile("([\u4e00-\u9fa5])")


def normalize_answer(text: str) -> str:
    """A text as SQuAD compares it, in both versions and in every language of XQuAD and TyDiQA.

    Lower case; ASCII punctuation deleted, which joins what it parted; "a", "an" and "the" as whole
    words gone; single spaces. Punctuation beyond ASCII stays.
    """
    return " ".join(_ENGLISH.sub(" ", text.lower().translate(_ASCII)).split())


def normalizer_of(language: str) -> Normalizer:
    """A text as MLQA compares it, by the language of the context, which is that of the answers.

    As `normalise`, but punctuation is that of Unicode as well (categories P*), articles are the
    language's own, and in Chinese each character of U+4E00 to U+9FA5 is a word. In Arabic the
    official evaluator takes the article away wherever its two letters stand, within words too, and
    so does this.

    Args:
        language: a two-letter code.

    Raises:
        InputError: not a language of MLQA.
    """
    if language not in _ARTICLES:
        text = unknown_name("language", language, _ARTICLES)
        raise InputError("answers", [Problem(location="language", text=f"MLQA has {text}")])
    return _BY_LANGUAGE[language]


class _Punctuation(dict[int, int | None]):
    """A table for `str.translate` that deletes punctuation; a character is looked up once."""

    def __missing__(self, code: int) -> int | None:
        letter = chr(code)
        gone = letter in string.punctuation or unicodedata.category(letter).startswith("P")
        self[code] = None if gone else code
        return self[code]


_UNICODE = _Punctuation()


def _words(words: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(words.split())})\b")


_ARTICLES: dict[str, re.Pattern[str] | None] = {
    "en": _ENGLISH,
    "es": _words(_SPANISH),
    "de": _words(_GERMAN),
    "ar": re.compile("\u0627\u0644"),
    "hi": None,
    "vi": _words(_VIETNAMESE),
    "zh": None,
}


def _mlqa(text: str, *, language: str) -> str:
    text = text.lower().translate(_UNICODE)
    if (articles := _ARTICLES[language]) is not None:
        text = articles.sub(" ", text)
    if language == "zh":
        text = _CHINESE.sub(r" \1 ", text)
    return " ".join(text.split())


# One function for a language, so that what is cached for it is found again.
_BY_LANGUAGE: dict[str, Normalizer] = {
    language: partial(_mlqa, language=language) for language in _ARTICLES
}
