"""The tokens of words: as a tokenizer gives them, and drawn from all divisions that a Unigram model
has for a word. It knows neither texts nor the views that are made of words."""

from bisect import bisect_left
from collections.abc import Collection, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import accumulate
from math import exp, log
from random import Random
from typing import Any

from .unigram import Unigram

Tokens = tuple[int, ...]
# For each place in a text: weights, summed up, of the pieces that end there; begin and id of each.
Lattice = list[tuple[list[float], list[tuple[int, int]]]]

ALPHA = 0.3  # stabletune's
_KEPT_WORDS = 1 << 17  # about 250 bytes each
_KEPT_LETTERS = 1 << 18  # of words whose divisions are known, about 300 bytes each
_UNKNOWN_PENALTY = 10.0  # of sentencepiece and tokenizers


class WordPieces:
    """The tokens that a tokenizer gives for a word behind a space; kept for the next time.

    Args:
        tokenizer: of any kind.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        # A copy of the fast part: its last user may have left truncation set, or use it just now.
        self._fast = deepcopy(getattr(tokenizer, "backend_tokenizer", None))
        if self._fast:
            self._fast.no_truncation()
            self._fast.no_padding()
        self._known: dict[str, Tokens] = {}

    def of(self, words: Sequence[str]) -> list[Tokens]:
        """Token ids of every word; none for a word that the tokenizer drops."""
        known = self._known
        return [known[word] if word in known else self._new(word) for word in words]

    def _new(self, word: str) -> Tokens:
        # The space is a part of the token where bytes are paired (RoBERTa).
        text = f" {word}" if word else ""
        if self._fast:
            tokens = self._fast.encode(text, add_special_tokens=False).ids
        else:
            tokens = self._tokenizer.encode(text, add_special_tokens=False)
        if len(self._known) >= _KEPT_WORDS:
            self._known = {}
        self._known[word] = tuple(tokens)
        return self._known[word]


class SubwordSampler:
    """Draws divisions of a word: P is proportional to exp(alpha * sum of log p(piece)) over all of
    them (Kudo, 2018), as sentencepiece's sampling with nbest_size -1.

    Forward filtering, backward sampling; the forward sums of a text are kept for the next time.

    Args:
        unigram: pieces and scores.
        alpha: 1 draws as probable as the model has it, 0 all divisions alike.
    """

    def __init__(self, unigram: Unigram, alpha: float = ALPHA) -> None:
        self._unigram, self._alpha = unigram, alpha
        self._longest = max(map(len, unigram.ids))
        least = min(unigram.scores[at] for at in unigram.ids.values())
        self._unknown_score = least - _UNKNOWN_PENALTY
        self._known: dict[str, list[int | tuple[str, Lattice]]] = {}
        self._letters = 0

    def sample(self, word: str, random: Random) -> Tokens:
        """Token ids of one division of a word; none for a word without text."""
        parts = self._known.get(word)
        if parts is None:
            self._letters += len(word)
            if self._letters > _KEPT_LETTERS:
                self._known, self._letters = {}, len(word)
            found = self._unigram.parts(word)
            parts = [one if isinstance(one, int) else (one, self._lattice(one)) for one in found]
            self._known[word] = parts
        ids: list[int] = []
        for part in parts:
            ids += [part] if isinstance(part, int) else self._walk(*part, random)
        return tuple(ids)

    def _lattice(self, text: str) -> Lattice:
        ids, scores, alpha = self._unigram.ids, self._unigram.scores, self._alpha
        forward, ends = [0.0], []
        for stop in range(1, len(text) + 1):
            pieces, weights = [], []
            for begin in range(max(0, stop - self._longest), stop):
                at = ids.get(text[begin:stop])
                if at is not None:
                    pieces.append((begin, at))
                    weights.append(forward[begin] + alpha * scores[at])
            if not pieces or pieces[-1][0] != stop - 1:  # the character alone is no piece
                pieces.append((stop - 1, self._unigram.unknown))
                weights.append(forward[stop - 1] + alpha * self._unknown_score)
            most = max(weights)
            sums = list(accumulate(exp(weight - most) for weight in weights))
            forward.append(most + log(sums[-1]))
            ends.append((sums, pieces))
        return ends

    def _walk(self, text: str, ends: Lattice, random: Random) -> list[int]:
        """The pieces of one division; unknown ones that touch are one, or else their bytes."""
        unknown, drawn = self._unigram.unknown, []
        stop = len(ends)
        while stop:
            sums, pieces = ends[stop - 1]
            at = bisect_left(sums, random.random() * sums[-1]) if len(sums) > 1 else 0
            begin, token = pieces[at]
            if token != unknown:
                drawn.append(token)
            elif self._unigram.bytes:
                spelled = text[begin:stop].encode(errors="replace")
                drawn.extend(self._unigram.bytes[byte] for byte in reversed(spelled))
            elif not drawn or drawn[-1] != unknown:
                drawn.append(unknown)
            stop = begin
        return drawn[::-1]


@dataclass(frozen=True, kw_only=True)
class SubwordSample:
    """The tokens of a text's words after subword sampling.

    Attributes:
        pieces: token ids of each word.
        switched: for each word, whether it was drawn, even where the draw is what it was before.
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
    """Divide each word anew with probability `ratio` (stabletune, Zheng et al., 2021).

    Args:
        frozen: places of words that stay.
    """
    switched = [at not in frozen and random.random() < ratio for at in range(len(words))]
    tokens = [
        sampler.sample(word, random) if new else own
        for word, own, new in zip(words, pieces.of(words), switched, strict=True)
    ]
    return SubwordSample(pieces=tokens, switched=switched)
