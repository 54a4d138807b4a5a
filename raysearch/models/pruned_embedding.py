"""An exact saving: of the word embedding, a trial holds only the rows that its data can reach.

A row that no example holds gets no gradient, so AdamW only decays it, by the same factor as every
other such row. Training the rest alone changes nothing else, not even the gradient's norm."""

import numpy as np
import torch
from torch.nn import functional


class PrunedEmbedding(torch.nn.Module):
    """Stands in for a word embedding.

    `weight` holds the rows of `ids`, and a last row that starts at 1 and is never looked up: what
    decay makes of it is the factor of all the rows left out.

    Args:
        whole: the embedding that it replaces.
        ids: token ids that are looked up, sorted; any other raises IndexError.
        pretrained: the whole embedding's weights, on the CPU; never copied.
    """

    def __init__(self, whole: torch.nn.Embedding, ids: np.ndarray, pretrained: torch.Tensor):
        super().__init__()
        self.ids, self.pretrained = torch.from_numpy(ids), pretrained
        places = torch.full((whole.num_embeddings,), len(ids) + 1)
        places[self.ids] = torch.arange(len(ids))
        self.register_buffer("places", places.to(whole.weight.device), persistent=False)
        padding = whole.padding_idx
        self.padding_idx = None if padding is None or padding not in ids else int(places[padding])
        self.weight = torch.nn.Parameter(self.start().to(whole.weight.device))

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """The embeddings of token ids, [..., width]."""
        return functional.embedding(self.places[input_ids], self.weight, self.padding_idx)

    def start(self) -> torch.Tensor:
        """The weights before training."""
        kept = self.pretrained[self.ids]
        return torch.cat([kept, torch.ones_like(kept[:1])])

    def whole(self) -> torch.Tensor:
        """The weights of the embedding that it stands for, as training it would have left them."""
        weights = self.weight.detach().float().cpu()
        rows = self.pretrained * weights[-1]
        rows[self.ids] = weights[:-1]
        return rows


def prune_embedding(
    model: torch.nn.Module, weights: dict[str, torch.Tensor], ids: np.ndarray
) -> dict[str, torch.Tensor]:
    """Put a Narrow in the place of the model's word embedding; the weights to restore then.

    Left as it is: an embedding that is tied to another weight, or of a class of its own.
    """
    whole = model.get_input_embeddings()
    names = [n for n, p in model.named_parameters(remove_duplicate=False) if p is whole.weight]
    if type(whole) is not torch.nn.Embedding or len(names) > 1:
        return weights
    narrowed = PrunedEmbedding(whole, ids, weights[names[0]])
    model.set_input_embeddings(narrowed)
    return {**weights, names[0]: narrowed.start()}


def full_state_dict(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A model's state dict, with its word embedding whole."""
    narrowed = [(name, m) for name, m in model.named_modules() if isinstance(m, PrunedEmbedding)]
    return model.state_dict() | {f"{name}.weight": m.whole() for name, m in narrowed}
