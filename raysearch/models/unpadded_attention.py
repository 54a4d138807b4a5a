"""Attention over the tokens of a batch whose padding is left out.

A batch of rows [rows, length] becomes its tokens, row by row. Attention runs over groups of rows of
similar length, padded there alone. Apart from `unpadded`, which knows the models of transformers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from ..data.sampling import cheapest_division
from .dropout_masks import scaled_mask

_GROUP_COST = 20_000  # the cost of one more group, in attention weights; measured on a CPU core


@dataclass(frozen=True, kw_only=True)
class RowGroup:
    """Some rows of a batch that attend together, padded to the longest of them.

    Its values are the heads' parts of its tokens, [tokens * heads, width / heads], or the same for
    each place of its rows, [count * heads * length, width / heads].

    Attributes:
        rows: which rows, in the order of the layout.
        tokens: which tokens, in the order of the layout.
        count: the number of rows.
        length: tokens of the longest row.
        taken: int64 [count * heads * length], for each place the part that stands there. A place
            of padding has one of its row's last token.
        places: int64 [tokens * heads], for each part its place.
        padding: int64, the places of padding.
        bias: what is added to attention scores, 0 or -inf for padding, [count * heads, 1, length];
            None: there is no padding.
    """

    rows: slice
    tokens: slice
    count: int
    length: int
    taken: torch.Tensor
    places: torch.Tensor
    padding: torch.Tensor
    bias: torch.Tensor | None

    def pad(self, values: torch.Tensor, heads: int) -> torch.Tensor:
        """Return values of all tokens, [tokens, width], as [count * heads, length, width/heads]."""
        parts = values[self.tokens].reshape(-1, values.shape[1] // heads)
        return parts.index_select(0, self.taken).view(self.count * heads, self.length, -1)

    def pad_with_zeros(self, values: torch.Tensor, heads: int) -> torch.Tensor:
        """Return the same, 0 for padding."""
        padded = self.pad(values, heads)
        padded.view(-1, padded.shape[2]).index_fill_(0, self.padding, 0)
        return padded

    def put(self, result: torch.Tensor, values: torch.Tensor) -> None:
        """Write values [count * heads, length, width/heads] to those of all tokens."""
        parts = result[self.tokens].view(-1, values.shape[2])
        values = values.view(-1, values.shape[2]).to(result.dtype)
        torch.index_select(values, 0, self.places, out=parts)


class TokenLayout:
    """Where the tokens of a padded batch stand once padding is left out: row by row, longest first.

    Args:
        mask: 1 for tokens and 0 for padding, [rows, length]; each row has a token. Its row sizes
            are copied from the device.
        heads: of attention, for the division into groups.

    Attributes:
        shape: of the mask.
        index: int64 [tokens], the position of each token in the flattened batch.
        order: int64 [rows], the batch's rows in the order of the layout.
        starts: int64 [rows], the first token of each row, in the order of the layout.
        groups: of rows that attend together.
    """

    def __init__(self, mask: torch.Tensor, heads: int) -> None:
        self.shape = mask.shape
        real = mask.bool()
        sizes = real.sum(1).cpu().numpy()
        order = np.argsort(-sizes, kind="stable")
        sizes = sizes[order]
        starts = np.cumsum(sizes) - sizes
        self.order = torch.from_numpy(order).to(mask.device)
        self.starts = torch.from_numpy(starts).to(mask.device)
        real = real[self.order]
        positions = torch.arange(mask.shape[1], device=mask.device)
        self.index = (self.order[:, None] * mask.shape[1] + positions)[real]
        self.groups = [
            _group(slice(first, stop), int(starts[first]), sizes, heads, mask.device)
            for first, stop in divide_rows(sizes, heads)
        ]

    def flatten(self, values: torch.Tensor) -> torch.Tensor:
        """Return the values of the tokens of a batch [rows, length] as [1, tokens]."""
        return values.flatten()[self.index][None]

    def in_batch_order(self, values: torch.Tensor) -> torch.Tensor:
        """Return values of rows, [rows, width], in the order of the batch."""
        return torch.empty_like(values).index_copy(0, self.order, values)

    def restore(self, values: torch.Tensor) -> torch.Tensor:
        """Return values of tokens, [tokens, width], as [rows, length, width], 0 for padding."""
        rows, length = self.shape
        padded = values.new_zeros(rows * length, values.shape[1])
        return padded.index_copy(0, self.index, values).view(rows, length, -1)


def _group(
    rows: slice, begin: int, sizes: np.ndarray, heads: int, device: torch.device
) -> RowGroup:
    """Return a group of rows.

    Args:
        rows: which rows, in the order of the layout.
        begin: the index of their first token.
        sizes: tokens of all rows, the longest first.
        heads: of attention.
        device: of the group's tensors.
    """
    own = sizes[rows, None, None]
    length, tokens = int(own.max()), int(own.sum())
    head, place = np.arange(heads)[:, None], np.arange(length)
    starts = np.cumsum(own, axis=0) - own
    taken = (starts + np.minimum(place, own - 1)) * heads + head  # [count, heads, length]
    real = np.broadcast_to(place < own, taken.shape).ravel()
    places = np.empty(tokens * heads, np.int64)
    places[taken.ravel()[real]] = real.nonzero()[0]
    bias = None
    if not real.all():
        scores = np.where(real, np.float32(0), np.float32(-np.inf))
        bias = torch.from_numpy(scores.reshape(-1, 1, length)).to(device)
    return RowGroup(
        rows=rows,
        tokens=slice(begin, begin + tokens),
        count=len(own),
        length=length,
        taken=torch.from_numpy(taken.ravel()).to(device),
        places=torch.from_numpy(places).to(device),
        padding=torch.from_numpy((~real).nonzero()[0]).to(device),
        bias=bias,
    )


def divide_rows(sizes: Sequence[int] | np.ndarray, heads: int) -> list[tuple[int, int]]:
    """Return the groups of rows (first, stop) whose attention costs least.

    Args:
        sizes: tokens of the rows, the longest first.
        heads: of attention.
    """
    weights = heads * np.square(np.asarray(sizes, np.float64))
    return cheapest_division(
        len(sizes), lambda end: (end - np.arange(end)) * weights[:end] + _GROUP_COST
    )


class UnpaddedAttention(torch.autograd.Function):
    """Attention of each row's tokens to the same row's.

    One function, since autograd's nodes for each group would cost more than the sums of short rows.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        layout: TokenLayout,
        heads: int,
        rate: float,
    ) -> torch.Tensor:
        """Return the context of each query.

        Args:
            ctx: of autograd.
            query: [tokens, width]; or [rows, width] in the layout's order, of the first tokens.
            key: [tokens, width].
            value: [tokens, width].
            layout: of the tokens.
            heads: of attention.
            rate: of dropout on attention weights.
        """
        ctx.layout, ctx.heads, ctx.first_only = layout, heads, len(query) != len(key)
        ctx.scale = (query.shape[1] // heads) ** -0.5
        result: torch.Tensor = query.new_empty(query.shape)
        saved: list[torch.Tensor | None] = []
        for group in layout.groups:
            queries = _queries(query, group, heads, ctx.first_only)
            keys, values = group.pad(key, heads), group.pad(value, heads)
            if group.bias is None:
                scores = torch.bmm(queries, keys.transpose(1, 2)).mul_(ctx.scale)
            else:
                bias = group.bias.to(query.dtype)
                scores = torch.baddbmm(bias, queries, keys.transpose(1, 2), alpha=ctx.scale)
            weights = torch.softmax(scores, -1).to(query.dtype)
            mask = None
            if rate:
                mask = scaled_mask(weights.shape, rate, weights.device).to(query.dtype)
            context = torch.bmm(weights if mask is None else weights * mask, values)
            _put(result, context, group, ctx.first_only)
            saved += [queries, keys, values, weights, mask]
        ctx.save_for_backward(*saved)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the gradients of query, key and value."""
        heads, saved = ctx.heads, iter(ctx.saved_tensors)
        width, tokens = gradient.shape[1], len(ctx.layout.index)
        of_query = gradient.new_empty(gradient.shape)
        of_key, of_value = gradient.new_empty(2, tokens, width).unbind()
        for group in ctx.layout.groups:
            queries, keys, values, weights, mask = (next(saved) for _ in range(5))
            of_context = _queries(gradient, group, heads, ctx.first_only, zeros=True)
            of_weights = torch.bmm(of_context, values.transpose(1, 2))
            dropped = weights
            if mask is not None:
                of_weights, dropped = of_weights.mul_(mask), weights * mask
            products = (of_weights * weights).sum(-1, keepdim=True)
            of_scores = of_weights.sub_(products).mul_(weights).mul_(ctx.scale)
            group.put(of_value, torch.bmm(dropped.transpose(1, 2), of_context))
            group.put(of_key, torch.bmm(of_scores.transpose(1, 2), queries))
            _put(of_query, torch.bmm(of_scores, keys), group, ctx.first_only)
        return of_query, of_key, of_value, None, None, None


def _queries(
    values: torch.Tensor, group: RowGroup, heads: int, first_only: bool, zeros: bool = False
) -> torch.Tensor:
    """Return a group's values as [count * heads, length, width / heads]; length 1: first tokens."""
    if first_only:
        return values[group.rows].reshape(group.count * heads, 1, -1)
    return group.pad_with_zeros(values, heads) if zeros else group.pad(values, heads)


def _put(result: torch.Tensor, values: torch.Tensor, group: RowGroup, first_only: bool) -> None:
    """Write a group's values, of the form of `_queries`, into those of all groups."""
    if first_only:
        result[group.rows] = values.reshape(group.count, -1)
    else:
        group.put(result, values)
