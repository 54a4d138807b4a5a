"""The division of a text into tokens as in AMOS and COCO-LM, with the positions of the tokens.

The authors' rules divide a text into words, SentencePiece divides words into pieces. It is apart
from the tokenizer because it needs neither files nor transformers.

The tokens of a word are cached. They are the tokens that the word has in its line, except where two
segmentations of it have about the same score. SentencePiece then gets the whole line.
"""

import math
import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from .vocabulary import UNK, Vocabulary

SPACE = "▁"  # SentencePiece's form of a space
_PLAIN = str.maketrans("‘’´“”—–", "'''\"\"--")
_CHARACTER = re.compile(r"``|''|\S")  # the part of a text that becomes one character of its line
_CLITIC = re.compile(r"' ((?:[smdtSMDT]|ll|re|ve)\b)")
_CAPITAL_CLITIC = re.compile(r"' ((?:LL|RE|VE)\b)")
_CACHED_WORDS = 2**18
_MAX_CACHED_LENGTH = 32  # characters; longer words are rarely repeated
# Scores are float32, summed along the line. Between segmentations of a word with scores this close,
# rounding decides.
_CLOSE = 0.01

Span = tuple[int, int]


class Segment(NamedTuple):
    """The tokens of a word or of a line.

    Attributes:
        ids: the token ids.
        spans: the characters [begin, stop) of each token, within the word or line.
        length: the number of characters of the word or line.
    """

    ids: tuple[int, ...]
    spans: tuple[Span, ...]
    length: int


def line_of(text: str) -> str:
    """Return the line that SentencePiece gets: the words of a text, separated by single spaces.

    Quotes and dashes become ASCII. Punctuation before and after a word is a word of its own. The
    parts of 's, 'll and the like are joined.
    """
    plain = text.replace("``", '"').replace("''", '"').translate(_PLAIN)
    line = " ".join([word for token in plain.split() for word in _words(token)])
    if "' " in line:
        line = _CAPITAL_CLITIC.sub(r"'\1 ", _CLITIC.sub(r"'\1", line))
    return " ".join(line.split())


@lru_cache(_CACHED_WORDS)
def _words(token: str) -> tuple[str, ...]:
    """Separate a word from the punctuation before and after it."""
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
    """A segmenter of texts into tokens, with a cache of words.

    Args:
        vocabulary: the files of the tokenizer.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.processor = processor = vocabulary.processor
        # No text has a piece "[MASK]": the rules separate its brackets.
        self.piece_ids = vocabulary.ids
        numbers = list(range(len(processor)))
        pieces = processor.id_to_piece(numbers)
        self.scores = dict(zip(pieces, processor.get_score(numbers), strict=True))
        # A model may have been trained with pieces across words, or with another form of spaces.
        is_standard = processor.normalize("  a  a ") == "▁a▁a"
        self.crosses_words = not is_standard or any(SPACE in piece[1:] for piece in pieces)
        try:
            self.has_nbest = bool(processor.nbest_encode_as_pieces("a", nbest_size=2))
        except RuntimeError:  # only unigram models have it
            self.has_nbest = False
        self.cache: dict[str, Segment | None] = {}

    def ids(self, text: str) -> list[int]:
        """Return the ids of a text's tokens."""
        return [id_ for segment in self._segments(line_of(text)) for id_ in segment.ids]

    def ids_and_spans(self, text: str) -> list[tuple[int, Span]]:
        """Return each token's id and the characters [begin, stop) of the text that it covers."""
        line = line_of(text)
        characters, start = _character_spans(text, line), 0
        tokens = []
        for segment in self._segments(line):
            for id_, (begin, stop) in zip(segment.ids, segment.spans, strict=True):
                first = characters[start + begin][0]
                last = characters[start + stop - 1][1] if stop > begin else first
                tokens.append((id_, (first, last)))
            start += segment.length + 1
        return tokens

    def _segments(self, line: str) -> list[Segment]:
        """Return a segment for each word, or one for the whole line."""
        cache = self.cache
        segments = []
        for word in line.split():
            segment = cache[word] if word in cache else self._cached(word)
            if segment is None:
                return [self._segment(line)]
            segments.append(segment)
        return segments

    def _cached(self, word: str) -> Segment | None:
        """Return the word's segment and cache it; None if it depends on the line."""
        if self.crosses_words or len(word) > _MAX_CACHED_LENGTH or SPACE in word:
            return None
        if len(self.cache) >= _CACHED_WORDS:
            self.cache.clear()
        segment = None if self._is_ambiguous(word) else self._segment(word)
        return self.cache.setdefault(word, segment)

    def _is_ambiguous(self, word: str) -> bool:
        """Return whether the two best segmentations of a word have about the same score."""
        if not self.has_nbest:
            return False
        segmentations = self.processor.nbest_encode_as_pieces(word, nbest_size=2)
        # Unknown characters cost the same in both.
        scores = [math.fsum(self.scores.get(piece, 0) for piece in s) for s in segmentations]
        return len(scores) > 1 and abs(scores[0] - scores[1]) < _CLOSE

    def _segment(self, unit: str) -> Segment:
        """Return the tokens of a word or line.

        A token that is a part of a character's normal form, such as "f" of "ﬁ", covers the
        character. A single "▁" covers nothing, and is dropped before punctuation and at the end.
        """
        pieces = self.processor.encode(unit, out_type=str)
        _, begins = self.processor.normalize(unit, with_offsets=True)
        stops = begins[1:]
        for position in reversed(range(len(stops) - 1)):
            if stops[position] == begins[position]:
                stops[position] = stops[position + 1]
        ids, spans, position, last = [], [], 0, 0
        for piece, following in zip(pieces, [*pieces[1:], ""], strict=False):
            begin, stop = begins[position], stops[position + len(piece) - 1]
            position += len(piece)
            if piece == SPACE:
                if not following or _is_punctuation(following[0]):
                    continue
                stop = max(begin, last)
            ids.append(self.piece_ids.get(piece, UNK))
            spans.append((begin, stop))
            last = stop
        return Segment(tuple(ids), tuple(spans), len(unit))


def _character_spans(text: str, line: str) -> list[Span]:
    """Return the characters [begin, stop) of the text that each character of its line stands for.

    A space begins where the next character does, and stops where the previous one did.
    """
    sources = [match.span() for match in _CHARACTER.finditer(text)]
    index = 0
    spans: list[Span] = []
    for character in line:
        begin, stop = sources[index]
        spans.append((begin, spans[-1][1] if character == " " else stop))
        index += character != " "
    return spans
