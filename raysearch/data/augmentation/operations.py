"""What can be done to the words of a text so that it is the same text said otherwise, and the rows
of tokens that come of it. It knows words and token ids, neither tasks nor losses."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Any

from ..columns import pair_special_tokens, sentence_special_tokens, token_types
from . import unigram
from .code_switching import Dictionaries, code_switch
from .subword_sampling import SubwordSampler, Tokens, WordPieces, sample_words


@dataclass(frozen=True, kw_only=True)
class AugmentedWords:
    """Words after an operation.

    Attributes:
        words: as many as before.
        tokens: of each word.
        changed: for each word, whether its tokens may be others than a tokenizer gives for what it
            was.
    """

    words: Sequence[str]
    tokens: list[Tokens]
    changed: list[bool]


class WordOperations:
    """The operations of a configuration, by name: subwords, switch.

    Args:
        hyper: the ratios.
        tokenizer: gives a word's tokens, and what it may be divided into.
        dictionaries: to switch with.
        needed: the operations that will be asked for.
    """

    def __init__(
        self, hyper: Any, tokenizer: Any, dictionaries: Dictionaries, needed: Collection[str]
    ) -> None:
        self.hyper, self.dictionaries = hyper, dictionaries
        self.pieces = _pieces(tokenizer)
        self.unknown = tokenizer.unk_token_id
        self.begin, self.middle, self.end = pair_special_tokens(tokenizer)
        self.sentence_end = sentence_special_tokens(tokenizer)[1]
        self.types = token_types(tokenizer)
        self.length = min(hyper.max_length, tokenizer.model_max_length)
        self.switched: Counter[str] = Counter()
        if "subwords" in needed:
            self._sampler = SubwordSampler(_unigram(tokenizer), hyper.subword_alpha)

    def apply(
        self, name: str, words: Sequence[str], random: Random, frozen: Collection[int] = ()
    ) -> AugmentedWords:
        """One operation on the words of a text; frozen places stay."""
        if name == "subwords":
            ratio = self.hyper.subword_ratio
            sampled = sample_words(words, ratio, self.pieces, self._sampler, random, frozen)
            return AugmentedWords(words=words, tokens=sampled.pieces, changed=sampled.switched)
        found = code_switch(words, self.hyper.switch_ratio, self.dictionaries, random, frozen)
        self.switched.update(words=len(words), asked=found.asked, switched=sum(found.switched))
        tokens = self.pieces.of(found.words)
        return AugmentedWords(words=found.words, tokens=tokens, changed=found.switched)

    def pair(self, texts: Sequence[Sequence[Tokens]]) -> tuple[list[int], int]:
        """One text or two as a row, the longer one cut first; where the second one's part begins.

        A cut goes token by token, as the tokenizers' own `longest_first`.
        """
        first, *rest = ([token for word in text for token in word] for text in texts)
        if not rest:
            room = self.length - len(self.begin) - len(self.end)
            return [*self.begin, *first[:room], *self.end], self.length
        room = self.length - len(self.begin) - len(self.middle) - len(self.end)
        one, two = _longest_first(len(first), len(rest[0]), room)
        head = [*self.begin, *first[:one], *self.middle]
        return [*head, *rest[0][:two], *self.end], len(head)


def _longest_first(first: int, second: int, room: int) -> tuple[int, int]:
    """Tokens kept of two texts: the shorter one whole if it takes no more than half, else half
    each, and an odd one the longer text's."""
    if first + second <= room:
        return first, second
    short = min(first, second, room // 2)
    return (short, room - short) if first <= second else (room - short, short)


@lru_cache(maxsize=1)
def _pieces(tokenizer: Any) -> WordPieces:
    return WordPieces(tokenizer)


@lru_cache(maxsize=1)
def _unigram(tokenizer: Any) -> unigram.Unigram:
    return unigram.of_tokenizer(tokenizer)
