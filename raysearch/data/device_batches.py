"""The way of a batch to its device, without making the host wait.

It is apart because every kind of training set goes it.
"""

from collections.abc import Mapping

import numpy as np
import torch

MASK = "attention_mask"
PADDED = "has_padding"  # attribute of a mask on its device: whether any of its tokens is padding


def to_device(batch: Mapping[str, np.ndarray], device: torch.device) -> dict[str, torch.Tensor]:
    """Return the arrays of a batch as tensors on a device.

    To a GPU they are copied from pinned memory: the host goes on while the copy runs, in the order
    of the device's work. The mask says whether it hides anything, as the device would have to be
    waited for to find that out.
    """
    tensors = {name: torch.from_numpy(array) for name, array in batch.items()}
    if device.type == "cuda":
        tensors = {n: x.pin_memory().to(device, non_blocking=True) for n, x in tensors.items()}
    elif device.type != "cpu":
        tensors = {name: x.to(device) for name, x in tensors.items()}
    if MASK in tensors:
        setattr(tensors[MASK], PADDED, not batch[MASK].all())
    return tensors


def word_starts(words: np.ndarray) -> np.ndarray:
    """Return the position of each word's first token, int64 [rows, words]; 0 beyond a row's words.

    Args:
        words: the index of each token's word, [rows, tokens]; below 0 outside words.
    """
    before = np.pad(words[:, :-1], ((0, 0), (1, 0)), constant_values=-1)
    row, token = ((words >= 0) & (words != before)).nonzero()
    first = np.zeros((len(words), int(words.max(initial=-1)) + 1), np.int64)
    first[row, words[row, token]] = token
    return first
