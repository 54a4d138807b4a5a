"""Tokens of words: those of the tokenizer, or a sample of all divisions that a Unigram model has.

It is apart from the views because it knows single words only.
"""

from bisect import bisect_left
from collections.abc import Collection, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import accumulate
from math import exp, log
from random import Random
from typing import Any

from .unigram_vocabulary import Unigram

Tokens = tuple[int, ...]
# For each end of a piece in a text: the cumulative weights of the pieces that end there, and the
# start and the id of each.
Lattice = list[tuple[list[float], list[tuple[int, int]]]]

ALPHA = 0.3  # stabletune's
_CACHED_WORDS = 1 << 17  # about 250 bytes each
_CACHED_LETTERS = 1 << 18  # of words whose divisions are cached, about 300 bytes each
_UNKNOWN_PENALTY = 10.0  # as in sentencepiece and tokenizers


class WordPieces:
    """The tokens of words, each tokenized after a space, with a cache.

    Args:
        tokenizer: fast or slow.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        # A copy, because other code may have set truncation on it, or use it at the same time.
        self._fast = deepcopy(getattr(tokenizer, "backend_tokenizer", None))
        if self._fast:
            self._fast.no_truncation()
            self._fast.no_padding()
        self._cache: dict[str, Tokens] = {}

    def of(self, words: Sequence[str]) -> list[Tokens]:
        """Return the token ids of every word; none for a word that the tokenizer drops."""
        cache = self._cache
        return [cache[word] if word in cache else self._encode(word) for word in words]

    def _encode(self, word: str) -> Tokens:
        # In byte-level BPE (RoBERTa) the space is a part of the token.
        text = f" {word}" if word else ""
        if self._fast:
            tokens = self._fast.encode(text, add_special_tokens=False).ids
        else:
            tokens = self._tokenizer.encode(text, add_special_tokens=False)
        if len(self._cache) >= _CACHED_WORDS:
            self._cache = {}
        self._cache[word] = tuple(tokens)
        return self._cache[word]


class SubwordSampler:
    """A sampler of divisions of a word into pieces.

    The probability of a division is proportional to exp(alpha * sum of log p(piece)), over all
    divisions (Kudo, 2018), as in sentencepiece's sampling with nbest_size -1. A sample is drawn by
    forward filtering and backward sampling; the forward sums of a text are cached.

    Args:
        unigram: pieces and scores.
        alpha: 1 for the probabilities of the model, 0 for all divisions alike.
    """

    def __init__(self, unigram: Unigram, alpha: float = ALPHA) -> None:
        self._unigram, self._alpha = unigram, alpha
        self._longest = max(map(len, unigram.ids))
        lowest = min(unigram.scores[token] for token in unigram.ids.values())
        self._unknown_score = lowest - _UNKNOWN_PENALTY
        self._cache: dict[str, list[int | tuple[str, Lattice]]] = {}
        self._cached_letters = 0

    def sample(self, word: str, random: Random) -> Tokens:
        """Return the token ids of one division of a word; none for a word without text."""
        parts = self._cache.get(word)
        if parts is None:
            self._cached_letters += len(word)
            if self._cached_letters > _CACHED_LETTERS:
                self._cache, self._cached_letters = {}, len(word)
            parts = [
                part if isinstance(part, int) else (part, self._lattice(part))
                for part in self._unigram.parts(word)
            ]
            self._cache[word] = parts
        ids: list[int] = []
        for part in parts:
            ids += [part] if isinstance(part, int) else self._sample_backward(*part, random)
        return tuple(ids)

    def _lattice(self, text: str) -> Lattice:
        """Return the forward sums of a text."""
        ids, scores, alpha = self._unigram.ids, self._unigram.scores, self._alpha
        forward: list[float] = [0.0]
        lattice: Lattice = []
        for stop in range(1, len(text) + 1):
            pieces: list[tuple[int, int]] = []
            weights: list[float] = []
            for begin in range(max(0, stop - self._longest), stop):
                token = ids.get(text[begin:stop])
                if token is not None:
                    pieces.append((begin, token))
                    weights.append(forward[begin] + alpha * scores[token])
            if not pieces or pieces[-1][0] != stop - 1:  # the single character is no piece
                pieces.append((stop - 1, self._unigram.unknown))
                weights.append(forward[stop - 1] + alpha * self._unknown_score)
            highest = max(weights)
            sums = list(accumulate(exp(weight - highest) for weight in weights))
            forward.append(highest + log(sums[-1]))
            lattice.append((sums, pieces))
        return lattice

    def _sample_backward(self, text: str, lattice: Lattice, random: Random) -> list[int]:
        """Return the pieces of one division.

        Adjacent unknown pieces become one unknown token, or their bytes if the vocabulary has them.
        """
        unknown = self._unigram.unknown
        reversed_ids: list[int] = []
        stop = len(lattice)
        while stop:
            sums, pieces = lattice[stop - 1]
            index = bisect_left(sums, random.random() * sums[-1]) if len(sums) > 1 else 0
            begin, token = pieces[index]
            if token != unknown:
                reversed_ids.append(token)
            elif self._unigram.bytes:
                encoded = text[begin:stop].encode(errors="replace")
                reversed_ids.extend(self._unigram.bytes[byte] for byte in reversed(encoded))
            elif not reversed_ids or reversed_ids[-1] != unknown:
                reversed_ids.append(unknown)
            stop = begin
        return reversed_ids[::-1]


@dataclass(frozen=True, kw_only=True)
class SubwordSample:
    """The tokens of a text's words after subword sampling.

    Attributes:
        pieces: the token ids of each word.
        switched: for each word whether it was sampled, even if the sample is the usual division.
    """

    pieces: list[Tokens]
    switched: list[bool]


def sample_words(
    words: Sequence[str],
    ratio: float,
    pieces: WordPieces,
    sampler: SubwordSampler,
    random: Random,
    frozen: Collection[int] = (),
) -> SubwordSample:
    """Sample another division of each word with probability `ratio`.

    This is subword sampling of stabletune (Zheng et al., 2021).

    Args:
        words: the words of the text.
        ratio: the share of words to sample.
        pieces: the tokens of the other words.
        sampler: draws the divisions.
        random: the random generator of the view.
        frozen: indices of words that stay.
    """
    switched = [i not in frozen and random.random() < ratio for i in range(len(words))]
    tokens = [
        sampler.sample(word, random) if is_sampled else usual
        for word, usual, is_sampled in zip(words, pieces.of(words), switched, strict=True)
    ]
    return SubwordSample(pieces=tokens, switched=switched)
