"""Rows of several sentences that are encoded separately, each with slots before it.

The attention mask separates the sentences of a row. This is as exact as a row for each sentence,
needs no padding between them, and finds their ends without waiting for the device. It is apart from
the encoder because it knows token ids only.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn import functional

from .configuration import CrossThoughtConfig


class PackedRows(NamedTuple):
    """The input of the base layers: the slots of all sentences first, then the words.

    Attributes:
        ids: token ids, [rows, tokens].
        positions: [rows, tokens]; they start anew at each sentence's first slot.
        sentence: the index of each token's sentence, [rows, tokens]; `max_sentences` for padding
            and other tokens that belong to none.
        present: bool [rows, max_sentences], the sentences that a row has.
        checks: [rows, 3]: whether the row is valid, its number of </s>, the tokens of its longest
            sentence.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    sentence: torch.Tensor
    present: torch.Tensor
    checks: torch.Tensor


def pack_sentences(
    ids: torch.Tensor,
    real: torch.Tensor,
    min_sentences: int,
    max_sentences: int,
    config: CrossThoughtConfig,
) -> PackedRows:
    """Put the slots of every sentence at the front of its row.

    Args:
        ids: token ids, [rows, length], `<s> A </s>` or `<s> A </s> <s> B </s>`.
        real: bool [rows, length], False for the padding on the right.
        min_sentences: the fewest sentences of a row.
        max_sentences: the most sentences of a row.
        config: the model's configuration.
    """
    slots, device = config.slots, ids.device
    assert config.bos_token_id is not None, "a configuration without <s>"
    is_begin = (ids == config.bos_token_id) & real
    is_end = (ids == config.eos_token_id) & real
    column = torch.arange(ids.shape[1], device=device)
    index = column - (column * is_begin).cummax(1).values  # within the sentence; of <s> 0
    count, longest = is_end.sum(1), (index + 1).where(real, 0).amax(1)
    # A sentence must begin at the first token and after every end.
    must_begin = functional.pad(is_end[:, :-1], (1, 0), value=True) & real
    valid = (is_begin == must_begin).all(1) & (is_begin.sum(1) == count)
    valid &= longest <= config.longest_sentence
    valid &= (count >= min_sentences) & (count <= max_sentences)
    # A sentence's own <s> is one of its slots: among the words it belongs to no sentence.
    sentence = (is_end.cumsum(1) - is_end.long()).where(real & ~is_begin, max_sentences)
    rows = len(ids)
    slot_sentence = torch.arange(max_sentences, device=device).repeat_interleave(slots)
    slot_index = torch.arange(slots, device=device).repeat(max_sentences).expand(rows, -1)
    last = config.max_position_embeddings - 1 - config.first_position
    positions = torch.cat([slot_index, (index[:, 1:] + slots - 1).clamp(max=last)], 1)
    return PackedRows(
        ids=torch.cat([torch.full_like(slot_index, config.bos_token_id), ids[:, 1:]], 1),
        positions=positions + config.first_position,
        sentence=torch.cat([slot_sentence.expand(rows, -1), sentence[:, 1:]], 1),
        present=torch.arange(max_sentences, device=device) < count[:, None],
        checks=torch.stack([valid, count, longest], 1),
    )


def block_diagonal_mask(
    sentence: torch.Tensor, dtype: torch.dtype, *, additive: bool
) -> torch.Tensor:
    """Return the attention mask by which a token reads the tokens of its own sentence only.

    Args:
        sentence: the index of each token's sentence, [rows, tokens].
        dtype: of the attention scores.
        additive: whether the mask is to be added to the scores, instead of a bool.

    Returns:
        [rows, 1, tokens, tokens].
    """
    mask = sentence[:, None, :, None] == sentence[:, None, None, :]
    if not additive:
        return mask
    return torch.zeros_like(mask, dtype=dtype).masked_fill(~mask, torch.finfo(dtype).min)


def shifted_positions(
    config: CrossThoughtConfig, shift: torch.Tensor | None, rows: int, device: torch.device
) -> torch.Tensor:
    """Return the positions of short sequences of running text, slots first, [rows or 1, tokens].

    Args:
        config: the model's configuration.
        shift: [blocks] in [0, 1), how far the words of a block are moved away from their slots;
            None: one draw for all blocks.
        rows: the number of sequences, the same for each block.
        device: where the positions are needed.
    """
    if shift is None:
        offset = torch.randint(config.highest_offset, (1,)).to(device)
    else:
        offset = (shift * config.highest_offset).long()
    column = torch.arange(config.slots + config.short_length, device=device)
    positions = column + (column >= config.slots) * offset[:, None]
    if len(positions) == 1:
        return positions
    return torch.repeat_interleave(positions, rows // len(positions), 0)


@torch.compiler.disable  # type: ignore[untyped-decorator]  # not typed
def async_to_cpu(x: torch.Tensor) -> Callable[[], torch.Tensor]:
    """Start to copy a tensor to the CPU.

    Returns:
        A function that waits for the copy and returns it. It does not wait for work that the device
        got after the copy.
    """
    if not x.is_cuda:
        return lambda: x
    copy = x.to("cpu", non_blocking=True)
    done = torch.cuda.current_stream(x.device).record_event()

    def wait() -> torch.Tensor:
        done.synchronize()
        return copy

    return wait


@torch.compiler.disable  # type: ignore[untyped-decorator]  # not typed
def raise_on_bad_rows(
    checks: Callable[[], torch.Tensor],
    min_sentences: int,
    max_sentences: int,
    config: CrossThoughtConfig,
) -> None:
    """Raise an error that names the first invalid row, if there is one.

    Args:
        checks: returns `PackedRows.checks`, on the CPU.
        min_sentences: the fewest sentences of a row.
        max_sentences: the most sentences of a row.
        config: the model's configuration.

    Raises:
        ValueError: a row is invalid.
    """
    facts = enumerate(checks().tolist())
    bad_rows = [(row, count, longest) for row, (valid, count, longest) in facts if not valid]
    if not bad_rows:
        return
    row, count, longest = bad_rows[0]
    forms = [
        " ".join(f"<s> {name} </s>" for name in "AB"[:sentences])
        for sentences in range(min_sentences, max_sentences + 1)
    ]
    raise ValueError(
        f"row {row} has {count} </s> and a sentence of {longest} tokens ({len(bad_rows)} such "
        f"rows); {' or '.join(forms)} of at most {config.longest_sentence} tokens a sentence would "
        "do"
    )
