"""Sentences that are encoded apart but stand side by side in a row, each with slots in front.

Attention keeps the sentences of a row apart, which is as exact as a row for each, needs no padding
between them, and splits them without asking the device where they end. It knows token ids only."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn import functional
from transformers import PreTrainedConfig


class PackedRows(NamedTuple):
    """What the base layers read: the slots of every sentence first, then the words."""

    ids: torch.Tensor  # [rows, tokens]
    positions: torch.Tensor  # [rows, tokens], in each sentence from its own first slot
    sentence: torch.Tensor  # [rows, tokens]: whose a token is; padding and the like: `most`
    present: torch.Tensor  # bool [rows, most]: the sentences that a row has
    seen: torch.Tensor  # [rows, 3]: whether it can be read, its </s>, its longest sentence


def pack_sentences(
    ids: torch.Tensor, real: torch.Tensor, least: int, most: int, config: PreTrainedConfig
) -> PackedRows:
    """Put every sentence's slots in front of its row.

    Args:
        ids: [rows, length], `<s> A </s>` or `<s> A </s> <s> B </s>`.
        real: bool [rows, length], False for the padding on the right.
        least, most: sentences in a row.
    """
    slots, device = config.slots, ids.device
    opens, ends = (ids == config.bos_token_id) & real, (ids == config.eos_token_id) & real
    column = torch.arange(ids.shape[1], device=device)
    place = column - (column * opens).cummax(1).values  # in its sentence, of <s> 0
    count, longest = ends.sum(1), (place + 1).where(real, 0).amax(1)
    due = functional.pad(ends[:, :-1], (1, 0), value=True) & real  # where a sentence must open
    right = (opens == due).all(1) & (opens.sum(1) == count) & (longest <= config.longest_sentence)
    right &= (count >= least) & (count <= most)
    # A sentence's own <s> is one of its slots: of the words' part it is nobody's.
    sentence = (ends.cumsum(1) - ends.long()).where(real & ~opens, most)
    owner = torch.arange(most, device=device).repeat_interleave(slots).expand(len(ids), -1)
    slot = torch.arange(slots, device=device).repeat(most).expand(len(ids), -1)
    last = config.max_position_embeddings - 1 - config.first_position
    positions = torch.cat([slot, (place[:, 1:] + slots - 1).clamp(max=last)], 1)
    return PackedRows(
        ids=torch.cat([torch.full_like(slot, config.bos_token_id), ids[:, 1:]], 1),
        positions=positions + config.first_position,
        sentence=torch.cat([owner, sentence[:, 1:]], 1),
        present=torch.arange(most, device=device) < count[:, None],
        seen=torch.stack([right, count, longest], 1),
    )


def block_diagonal_mask(sentence: torch.Tensor, dtype: torch.dtype, *, added: bool) -> torch.Tensor:
    """Attention's mask, [rows, 1, tokens, tokens]: a token reads those of its own sentence.

    Args:
        sentence: [rows, tokens].
        dtype: of the scores.
        added: the mask is added to the scores, not a bool.
    """
    mask = sentence[:, None, :, None] == sentence[:, None, None, :]
    if not added:
        return mask
    return torch.zeros_like(mask, dtype=dtype).masked_fill(~mask, torch.finfo(dtype).min)


def shifted_positions(
    config: PreTrainedConfig, shift: torch.Tensor | None, rows: int, device: torch.device
) -> torch.Tensor:
    """The positions of short sequences of running text, slots first: [rows or 1, tokens].

    Args:
        shift: [blocks], from 0 to below 1, how far the words of a block stand beyond their slots;
            none: one draw for all.
        rows: sequences, equally many of each block.
    """
    if shift is None:
        further = torch.randint(config.highest_offset, (1,)).to(device)
    else:
        further = (shift * config.highest_offset).long()
    place = torch.arange(config.slots + config.short_length, device=device)
    place = place + (place >= config.slots) * further[:, None]
    return place.repeat_interleave(rows // len(place), 0) if len(place) > 1 else place


@torch.compiler.disable
def async_to_cpu(x: torch.Tensor) -> Callable[[], torch.Tensor]:
    """Start to copy a tensor to the CPU. What is returned waits for the copy alone, not for what
    the device was given to do after it."""
    if not x.is_cuda:
        return lambda: x
    copy = x.to("cpu", non_blocking=True)
    done = torch.cuda.current_stream(x.device).record_event()

    def wait() -> torch.Tensor:
        done.synchronize()
        return copy

    return wait


@torch.compiler.disable
def raise_on_bad_rows(
    seen: Callable[[], torch.Tensor], least: int, most: int, config: PreTrainedConfig
) -> None:
    """Raises ValueError for the rows that cannot be read, the first of them named."""
    wrong = [(row, *rest) for row, (right, *rest) in enumerate(seen().tolist()) if not right]
    if not wrong:
        return
    row, count, longest = wrong[0]
    forms = [" ".join(f"<s> {name} </s>" for name in "AB"[:n]) for n in range(least, most + 1)]
    raise ValueError(
        f"row {row} has {count} </s> and a sentence of {longest} tokens ({len(wrong)} such rows); "
        f"{' or '.join(forms)} of at most {config.longest_sentence} tokens a sentence would do"
    )
