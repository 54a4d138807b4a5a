"""Whether the merges of a byte-level BPE tokenizer spell its vocabulary. Half a file of merges
makes a tokenizer that works, and cuts every text otherwise than the model was trained on."""

import re
from collections.abc import Iterable, Mapping

_BYTES = 256  # symbols that every text is spelled with before the first merge
# Tokens that no merge makes: <s>, <|endoftext|>, [MASK], and what fairseq fills a vocabulary with.
_APART = re.compile(r"<.*>|\[.*\]|madeupword\d+")


def wrong_merges(
    tokens: Mapping[str, int], merges: Iterable[tuple[str, str]], apart: Iterable[str] = ()
) -> str:
    """Return what is wrong with the merges of a vocabulary; empty if nothing is.

    Args:
        tokens: token -> id.
        merges: pairs of tokens, in the order of their use.
        apart: tokens that no merge has to make.
    """
    spelled: set[str] = {token for token in tokens if len(token) == 1}
    for number, (left, right) in enumerate(merges, 1):
        if part := next((part for part in (left, right) if part not in spelled), None):
            where = "is made later" if part in tokens else "is in no vocabulary"
            return f"merge {number:,} joins {part!r}, which {where}"
        if left + right not in tokens:
            return f"merge {number:,} makes {left + right!r}, which is in no vocabulary"
        spelled.add(left + right)
    lost = tokens.keys() - spelled - set(apart)
    if lost := [token for token in lost if not _APART.fullmatch(token)]:
        first = min(lost, key=lambda token: tokens[token])
        return (
            f"no merge makes {len(lost):,} of the {len(tokens):,} tokens, the first {first!r}: "
            "merges are missing; download the file again"
        )
    return ""


def missing_bytes(tokens: Mapping[str, int]) -> str:
    """Return what is wrong where some byte has no token of its own, so that texts lose it."""
    symbols = byte_symbols()
    lost = sorted(symbols - tokens.keys())
    return f"no token for {len(lost)} of the {_BYTES} bytes, the first {lost[0]!r}" if lost else ""


def byte_symbols() -> set[str]:
    """Return the characters that stand for the bytes: printable Latin-1, else from U+0100 on."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return {chr(n) for n in plain} | {chr(_BYTES + n) for n in range(_BYTES - len(plain))}
