"""Checks of a byte-level BPE tokenizer: its merges must spell its vocabulary.

An incomplete file of merges makes a tokenizer that works, but divides texts differently than the
one that the model was trained with. It is apart from the files because it only sees their content.
"""

import re
from collections.abc import Iterable, Mapping

_BYTES = 256  # symbols that every text is spelled with before the first merge
# Tokens that no merge makes: <s>, <|endoftext|>, [MASK], and what fairseq fills a vocabulary with.
_UNMERGED = re.compile(r"<.*>|\[.*\]|madeupword\d+")


def wrong_merges(
    tokens: Mapping[str, int], merges: Iterable[tuple[str, str]], unmerged: Iterable[str] = ()
) -> str:
    """Return what is wrong with the merges of a vocabulary; empty if nothing is.

    Args:
        tokens: token -> id.
        merges: pairs of tokens, in the order of their use.
        unmerged: tokens that no merge has to make.
    """
    spelled = {token for token in tokens if len(token) == 1}
    for number, (left, right) in enumerate(merges, 1):
        if part := next((part for part in (left, right) if part not in spelled), None):
            reason = "is made later" if part in tokens else "is in no vocabulary"
            return f"merge {number:,} joins {part!r}, which {reason}"
        if left + right not in tokens:
            return f"merge {number:,} makes {left + right!r}, which is in no vocabulary"
        spelled.add(left + right)
    candidates = tokens.keys() - spelled - set(unmerged)
    if missing := [token for token in candidates if not _UNMERGED.fullmatch(token)]:
        first = min(missing, key=lambda token: tokens[token])
        return (
            f"no merge makes {len(missing):,} of the {len(tokens):,} tokens, the first {first!r}: "
            "merges are missing; download the file again"
        )
    return ""


def missing_bytes(tokens: Mapping[str, int]) -> str:
    """Return which bytes have no token, so that texts would lose them; empty if all have one.

    Args:
        tokens: token -> id.
    """
    missing = sorted(byte_symbols() - tokens.keys())
    if not missing:
        return ""
    return f"no token for {len(missing)} of the {_BYTES} bytes, the first {missing[0]!r}"


def byte_symbols() -> set[str]:
    """Return the characters that stand for bytes: printable Latin-1, others from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = range(_BYTES, 2 * _BYTES - len(printable))
    return {chr(n) for n in printable} | {chr(n) for n in others}
