"""The rules by which the official evaluators of SQuAD and MLQA make answers comparable.

It is apart because it works on strings alone; the preparation of training data uses it too.
"""

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
    """Return a text as SQuAD compares it.

    Both versions of SQuAD use this rule, and so does every language of XQuAD and TyDiQA. The
    text becomes lower case. ASCII punctuation is deleted, which joins the parts it separated;
    punctuation beyond ASCII stays. The words "a", "an" and "the" are removed. Single spaces
    separate the words that remain.
    """
    return " ".join(_ENGLISH.sub(" ", text.lower().translate(_ASCII)).split())


def normalizer_of(language: str) -> Normalizer:
    """Return the function by which MLQA makes answers of a language comparable.

    It differs from `normalize_answer` in three points. It also deletes Unicode punctuation
    (categories P*). The articles are those of the language. In Chinese, each character from U+4E00
    to U+9FA5 is a word. In Arabic the official evaluator deletes the two letters of the article
    wherever they occur, also inside words, and so does this function.

    Args:
        language: the two-letter code of the context's language, which the answers share.

    Raises:
        InputError: MLQA does not have the language.
    """
    if language not in _ARTICLES:
        text = unknown_name("language", language, _ARTICLES)
        raise InputError("answers", [Problem(location="language", text=f"MLQA has {text}")])
    return _BY_LANGUAGE[language]


class _PunctuationTable(dict[int, int | None]):
    """A table for `str.translate` that deletes punctuation and looks each character up once."""

    def __missing__(self, code: int) -> int | None:
        character = chr(code)
        category = unicodedata.category(character)
        deleted = character in string.punctuation or category.startswith("P")
        self[code] = None if deleted else code
        return self[code]


_UNICODE = _PunctuationTable()


def _any_word(words: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(words.split())})\b")


_ARTICLES: dict[str, re.Pattern[str] | None] = {
    "en": _ENGLISH,
    "es": _any_word(_SPANISH),
    "de": _any_word(_GERMAN),
    "ar": re.compile("\u0627\u0644"),
    "hi": None,
    "vi": _any_word(_VIETNAMESE),
    "zh": None,
}


def _normalize_mlqa(text: str, *, language: str) -> str:
    text = text.lower().translate(_UNICODE)
    if (articles := _ARTICLES[language]) is not None:
        text = articles.sub(" ", text)
    if language == "zh":
        text = _CHINESE.sub(r" \1 ", text)
    return " ".join(text.split())


# One function per language: the cache of normalized gold answers has the function in its key.
_BY_LANGUAGE: dict[str, Normalizer] = {
    language: partial(_normalize_mlqa, language=language) for language in _ARTICLES
}
