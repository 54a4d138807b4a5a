"""An exact saving: a trial holds only the rows of the word embedding that its data can reach.

A row that no example holds gets no gradient, so AdamW only decays it, by the same factor as every
other such row. Training the rest alone changes nothing else, not even the gradient's norm. Apart
because the optimizer, too, has to know this kind of embedding.
"""

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedModel


class PrunedEmbedding(torch.nn.Module):
    """A word embedding without the rows that are never looked up.

    Args:
        full: the embedding that it replaces.
        ids: token ids that are looked up, sorted; any other raises IndexError.
        pretrained: the full embedding's weights, on the CPU; never copied.

    Attributes:
        weight: the rows of `ids`, and a last row that starts at 1 and is never looked up: weight
            decay makes it the factor of all the rows that are absent.
    """

    rows: torch.Tensor  # token id -> row of `weight`

    def __init__(self, full: torch.nn.Embedding, ids: np.ndarray, pretrained: torch.Tensor) -> None:
        super().__init__()
        self.ids, self.pretrained = torch.from_numpy(ids), pretrained
        rows = torch.full((full.num_embeddings,), len(ids) + 1)  # out of range
        rows[self.ids] = torch.arange(len(ids))
        self.register_buffer("rows", rows.to(full.weight.device), persistent=False)
        padding = full.padding_idx
        self.padding_idx = None if padding is None or padding not in ids else int(rows[padding])
        self.weight = torch.nn.Parameter(
            self.initial_weight().to(full.weight.device), full.weight.requires_grad
        )

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Return the embeddings of token ids, [..., width]."""
        return functional.embedding(self.rows[input_ids], self.weight, self.padding_idx)

    def initial_weight(self) -> torch.Tensor:
        """Return `weight` before training."""
        reachable = self.pretrained[self.ids]
        return torch.cat([reachable, torch.ones_like(reachable[:1])])

    def full_weight(self) -> torch.Tensor:
        """Return the weights of the full embedding as training it would have left them."""
        weights = self.weight.detach().float().cpu()
        rows = self.pretrained * weights[-1]
        rows[self.ids] = weights[:-1]
        return rows


def prune_embedding(
    model: PreTrainedModel, weights: dict[str, torch.Tensor], ids: np.ndarray
) -> dict[str, torch.Tensor]:
    """Replace a model's word embedding by a PrunedEmbedding; return the weights to reset it to.

    An embedding that is tied to another weight, or has a class of its own, is not replaced.

    Args:
        model: changed in place.
        weights: name -> tensor, for every entry of the model's state dict.
        ids: token ids that are looked up, sorted.
    """
    full = model.get_input_embeddings()
    names = [n for n, p in model.named_parameters(remove_duplicate=False) if p is full.weight]
    if type(full) is not torch.nn.Embedding or len(names) > 1:
        return weights
    pruned = PrunedEmbedding(full, ids, weights[names[0]])
    model.set_input_embeddings(pruned)
    return {**weights, names[0]: pruned.initial_weight()}


def full_state_dict(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return a model's state dict with all rows of its word embedding."""
    pruned = [(name, m) for name, m in model.named_modules() if isinstance(m, PrunedEmbedding)]
    return model.state_dict() | {f"{name}.weight": m.full_weight() for name, m in pruned}


def count_parameters(model: torch.nn.Module) -> tuple[int, int]:
    """Return how many parameters a model has, and how many of them are trained.

    A word embedding counts with all its rows; a tied weight counts once.
    """
    full = {
        id(module.weight): module.pretrained.numel()
        for module in model.modules()
        if isinstance(module, PrunedEmbedding)
    }
    sizes = [(full.get(id(p), p.numel()), p.requires_grad) for p in model.parameters()]
    return sum(size for size, _ in sizes), sum(size for size, trained in sizes if trained)
