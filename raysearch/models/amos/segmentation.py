"""Text to tokens as AMOS and COCO-LM do it: words as their authors cut them, the pieces that
SentencePiece cuts those into, their places in the text. It knows neither files nor transformers.

A word's tokens are remembered. They are those that the word has in its line, except where two ways
to cut it score alike: such a line goes to SentencePiece whole."""

import math
import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from .vocabulary import UNK, Vocabulary

SPACE = "▁"  # how SentencePiece writes one
_PLAIN = str.maketrans("‘’´“”—–", "'''\"\"--")
_CHARACTER = re.compile(r"``|''|\S")  # of a text: what becomes one character of its line
_CLITIC = re.compile(r"' ((?:[smdtSMDT]|ll|re|ve)\b)")
_CAPITAL_CLITIC = re.compile(r"' ((?:LL|RE|VE)\b)")
_REMEMBERED = 2**18  # words
_LONG = 32  # characters; longer words hardly come twice
# Scores are float32, summed along the line: among cuts of a word this close, rounding decides.
_CLOSE = 0.01

Span = tuple[int, int]


class Segment(NamedTuple):
    """The tokens of a word or line: ids, their characters [begin, stop), and its length."""

    ids: tuple[int, ...]
    spans: tuple[Span, ...]
    size: int


def line_of(text: str) -> str:
    """What SentencePiece is given: the words of a text, a space between any two.

    Quotes and dashes become ASCII; punctuation before and behind a word is a word of its own; the
    parts of 's, 'll and their like are joined.
    """
    plain = text.replace("``", '"').replace("''", '"').translate(_PLAIN)
    line = " ".join([word for token in plain.split() for word in _words(token)])
    if "' " in line:
        line = _CAPITAL_CLITIC.sub(r"'\1 ", _CLITIC.sub(r"'\1", line))
    return " ".join(line.split())


@lru_cache(_REMEMBERED)
def _words(token: str) -> tuple[str, ...]:
    first, last = 0, len(token)
    while first < last and _is_punctuation(token[first]):
        first += 1
    while first < last and _is_punctuation(token[last - 1]):
        last -= 1
    return tuple(word for word in (token[:first], token[first:last], token[last:]) if word)


def _is_punctuation(character: str) -> bool:
    if character.isascii():
        return character.isprintable() and character != " " and not character.isalnum()
    return unicodedata.category(character)[0] == "P"


class WordSegmenter:
    """Texts to tokens, by SentencePiece. It remembers words."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.processor = processor = vocabulary.processor
        self.numbers = vocabulary.ids  # no text has a piece "[MASK]": its brackets are cut off
        every = list(range(len(processor)))
        pieces = processor.id_to_piece(every)
        self.scores = dict(zip(pieces, processor.get_score(every), strict=True))
        # A model may have been trained to cross words, or to write spaces otherwise.
        plain = processor.normalize("  a  a ") == "▁a▁a"
        self.crosses = not plain or any(SPACE in piece[1:] for piece in pieces)
        try:
            self.ranks = bool(processor.nbest_encode_as_pieces("a", nbest_size=2))
        except RuntimeError:  # only unigram models rank
            self.ranks = False
        self.known: dict[str, Segment | None] = {}

    def ids(self, text: str) -> list[int]:
        """The ids of a text's tokens."""
        return [id_ for segment in self._of(line_of(text)) for id_ in segment.ids]

    def ids_and_spans(self, text: str) -> list[tuple[int, Span]]:
        """The id of each token and the characters [begin, stop) of the text that it stands for."""
        line = line_of(text)
        places, start, tokens = _places(text, line), 0, []
        for segment in self._of(line):
            for id_, (begin, stop) in zip(segment.ids, segment.spans, strict=True):
                first = places[start + begin][0]
                last = places[start + stop - 1][1] if stop > begin else first
                tokens.append((id_, (first, last)))
            start += segment.size + 1
        return tokens

    def _of(self, line: str) -> list[Segment]:
        """A segment for each word, or one for the whole line."""
        known = self.known
        found = [known[word] if word in known else self._learn(word) for word in line.split()]
        return [self._cut(line)] if None in found else found

    def _learn(self, word: str) -> Segment | None:
        """The word's segment, None where it depends on the line."""
        if self.crosses or len(word) > _LONG or SPACE in word:
            return None
        if len(self.known) >= _REMEMBERED:
            self.known.clear()
        return self.known.setdefault(word, None if self._is_close(word) else self._cut(word))

    def _is_close(self, word: str) -> bool:
        """Whether the second best cut of the word is about as good as the best."""
        if not self.ranks:
            return False
        cuts = self.processor.nbest_encode_as_pieces(word, nbest_size=2)
        # Unknown characters cost the same in both.
        scores = [math.fsum(self.scores.get(piece, 0) for piece in cut) for cut in cuts]
        return len(scores) > 1 and abs(scores[0] - scores[1]) < _CLOSE

    def _cut(self, unit: str) -> Segment:
        """The tokens of a word or line.

        A token of a part of a character's normal form, "f" of "ﬁ", stands for the character. A lone
        "▁" stands for nothing and is dropped before punctuation and at the end.
        """
        pieces = self.processor.encode(unit, out_type=str)
        _, begins = self.processor.normalize(unit, with_offsets=True)
        stops = begins[1:]
        for at in reversed(range(len(stops) - 1)):
            if stops[at] == begins[at]:
                stops[at] = stops[at + 1]
        ids, spans, at, last = [], [], 0, 0
        for piece, following in zip(pieces, [*pieces[1:], ""], strict=False):
            begin, stop = begins[at], stops[at + len(piece) - 1]
            at += len(piece)
            if piece == SPACE:
                if not following or _is_punctuation(following[0]):
                    continue
                stop = max(begin, last)
            ids.append(self.numbers.get(piece, UNK))
            spans.append((begin, stop))
            last = stop
        return Segment(tuple(ids), tuple(spans), len(unit))


def _places(text: str, line: str) -> list[Span]:
    """Where each character of a text's line stands in the text.

    A space begins where the next character does, and stops where the one before it did.
    """
    marks, at, places = [mark.span() for mark in _CHARACTER.finditer(text)], 0, []
    for character in line:
        begin, stop = marks[at]
        places.append((begin, places[-1][1] if character == " " else stop))
        at += character != " "
    return places
