"""Operations on the words of a text that keep its meaning, and rows of the tokens they result in.

It is apart from the views because it knows words and token ids, and neither tasks nor losses.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Any

from ..columns import pair_special_tokens, sentence_special_tokens, token_types
from . import unigram_vocabulary
from .code_switching import Dictionaries, code_switch
from .subword_sampling import SubwordSampler, Tokens, WordPieces, sample_words


@dataclass(frozen=True, kw_only=True)
class AugmentedWords:
    """The words of a text after an operation.

    Attributes:
        words: as many as before.
        tokens: the token ids of each word.
        changed: for each word whether its tokens may differ from those of the original word.
    """

    words: Sequence[str]
    tokens: list[Tokens]
    changed: list[bool]


class WordOperations:
    """The operations of a configuration, by name: subwords, switch.

    Args:
        hyper: the ratios and the maximum length.
        tokenizer: gives a word's tokens and its possible divisions.
        dictionaries: for `switch`.
        needed: the names of the operations that will be applied.

    Attributes:
        pieces: the tokens of words.
        unknown: the id of the unknown token.
        begin, middle, end: special tokens before, between and after a pair.
        sentence_end: special tokens after a sentence of words.
        types: the token types of the tokenizer.
        length: the maximum of tokens of a row.
        switched: counts of words that `switch` saw, selected and switched.
    """

    def __init__(
        self, hyper: Any, tokenizer: Any, dictionaries: Dictionaries, needed: Collection[str]
    ) -> None:
        self.hyper, self.dictionaries = hyper, dictionaries
        self.pieces = _word_pieces(tokenizer)
        self.unknown: int = tokenizer.unk_token_id
        self.begin, self.middle, self.end = pair_special_tokens(tokenizer)
        self.sentence_end = sentence_special_tokens(tokenizer)[1]
        self.types = token_types(tokenizer)
        self.length: int = min(hyper.max_length, tokenizer.model_max_length)
        self.switched: Counter[str] = Counter()
        if "subwords" in needed:
            self._sampler = SubwordSampler(_unigram(tokenizer), hyper.subword_alpha)

    def apply(
        self, name: str, words: Sequence[str], random: Random, frozen: Collection[int] = ()
    ) -> AugmentedWords:
        """Apply one operation to the words of a text.

        Args:
            name: `subwords` or `switch`.
            words: the words.
            random: the random generator of the view.
            frozen: indices of words that stay.
        """
        if name == "subwords":
            ratio = self.hyper.subword_ratio
            sampled = sample_words(words, ratio, self.pieces, self._sampler, random, frozen)
            return AugmentedWords(words=words, tokens=sampled.pieces, changed=sampled.switched)
        result = code_switch(words, self.hyper.switch_ratio, self.dictionaries, random, frozen)
        switched = sum(result.switched)
        self.switched.update(words=len(words), selected=result.selected, switched=switched)
        tokens = self.pieces.of(result.words)
        return AugmentedWords(words=result.words, tokens=tokens, changed=result.switched)

    def pair(self, texts: Sequence[Sequence[Tokens]]) -> tuple[list[int], int]:
        """Return one text or two as a row, the longer one truncated first.

        Tokens are removed one by one, as by the tokenizers' own `longest_first`.

        Args:
            texts: the token ids of each word of one text or two.

        Returns:
            The token ids, and the index at which the part of the second text begins.
        """
        first, *rest = ([token for word in text for token in word] for text in texts)
        if not rest:
            room = self.length - len(self.begin) - len(self.end)
            return [*self.begin, *first[:room], *self.end], self.length
        second = rest[0]
        room = self.length - len(self.begin) - len(self.middle) - len(self.end)
        first_length, second_length = _longest_first(len(first), len(second), room)
        head = [*self.begin, *first[:first_length], *self.middle]
        return [*head, *second[:second_length], *self.end], len(head)


def _longest_first(first: int, second: int, room: int) -> tuple[int, int]:
    """Return the lengths of two texts after truncation.

    A text that takes no more than half of the room stays complete. Otherwise each gets half, and
    the longer one the odd token.
    """
    if first + second <= room:
        return first, second
    shorter = min(first, second, room // 2)
    return (shorter, room - shorter) if first <= second else (room - shorter, shorter)


@lru_cache(maxsize=1)
def _word_pieces(tokenizer: Any) -> WordPieces:
    return WordPieces(tokenizer)


@lru_cache(maxsize=1)
def _unigram(tokenizer: Any) -> unigram_vocabulary.Unigram:
    return unigram_vocabulary.of_tokenizer(tokenizer)
